import Storage

/// The replacement of a log's last blocks by one block with the same content, as the file `merge` says it.
///
/// The three files of a log cannot change at once. So what they shall hold is written to a fourth file
/// first; if the change is interrupted, whoever opens the log next makes it again from there.
struct BlockMerge: Equatable {
    /// Where the record of the first replaced block begins.
    var offset: UInt64
    /// The record of the new block.
    var record: [UInt8]
    /// The members of the new block.
    var stdout: [UInt8]
    var stderr: [UInt8]

    /// How the file begins: `jobletmg`.
    static let magic: [UInt8] = [0x6a, 0x6f, 0x62, 0x6c, 0x65, 0x74, 0x6d, 0x67]

    /// The header within the record.
    var header: BlockHeader? {
        record.withUnsafeBytes { BlockHeader(UnsafeRawBufferPointer(rebasing: $0.prefix(BlockHeader.size))) }
    }

    /// A stream's member.
    func member(of stream: LogStream) -> [UInt8] {
        stream == .stdout ? stdout : stderr
    }

    /// The file's content.
    func encoded(for job: JobID) -> [UInt8] {
        var writer = ByteWriter(capacity: record.count + stdout.count + stderr.count + 64)
        writer.write(Self.magic)
        writer.write(job.words.high.byteSwapped)
        writer.write(job.words.low.byteSwapped)
        writer.write(offset)
        writer.write(UInt32(record.count))
        writer.write(record)
        writer.write(stdout)
        writer.write(stderr)
        writer.write(writer.bytes.withUnsafeBytes { crc32($0) })
        return writer.bytes
    }
}

extension BlockMerge {
    /// The replacement that a file says; nil where it is not whole or not of this job.
    init?(_ bytes: [UInt8], for job: JobID) {
        let fixed = 36
        guard bytes.count > fixed + BlockHeader.size, bytes.starts(with: Self.magic) else { return nil }
        let end = bytes.count - 4
        let crc = bytes[..<end].withUnsafeBytes { crc32($0) }
        let values = bytes.withUnsafeBytes { buffer -> (id: [UInt64?], offset: UInt64?, count: UInt32?, crc: UInt32?) in
            var reader = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[8...]))
            var trailer = ByteReader(UnsafeRawBufferPointer(rebasing: buffer[end...]))
            return ([reader.read(), reader.read()], reader.read(), reader.read(), trailer.read())
        }
        guard values.crc == crc, values.id == [job.words.high.byteSwapped, job.words.low.byteSwapped],
            let offset = values.offset, let count = values.count, Int(count) <= end - fixed
        else { return nil }
        let members = fixed + Int(count)
        self.init(offset: offset, record: Array(bytes[fixed..<members]), stdout: [], stderr: [])
        guard let header, header.recordLength == UInt64(count),
            Int(header.stdout.compressed) + Int(header.stderr.compressed) == end - members
        else { return nil }
        stdout = Array(bytes[members..<members + Int(header.stdout.compressed)])
        stderr = Array(bytes[members + Int(header.stdout.compressed)..<end])
    }
}

extension LogFiles {
    /// Where a replacement is written down.
    var merge: String { "\(directory)/merge" }

    /// Ends a replacement that was interrupted; one that is not written down whole was not begun.
    func finishMerge(of job: JobID, _ durability: Durability) throws(StorageError) {
        guard let size = try File.identity(of: merge)?.size else { return }
        let bytes = try read(merge, at: 0, count: Int(min(size, 1 << 28)))
        if let merge = BlockMerge(bytes, for: job), let header = merge.header {
            // Blocks may have followed it already.
            let isDone = try read(index, at: merge.offset, count: merge.record.count) == merge.record
            if !isDone { try apply(merge, header, durability) }
        }
        try Directory.remove(file: merge)
    }

    /// Replaces the last blocks by one.
    func replaceBlocks(_ merge: BlockMerge, of job: JobID, _ durability: Durability) throws(StorageError) {
        guard let header = merge.header else { return }
        try replace(self.merge, by: merge.encoded(for: job))
        if durability == .power {
            try synchronize(self.merge)
            try Directory.synchronize(directory)
        }
        try apply(merge, header, durability)
        try Directory.remove(file: self.merge)
    }

    private func apply(
        _ merge: BlockMerge, _ header: BlockHeader, _ durability: Durability
    ) throws(StorageError) {
        for stream in LogStream.allCases {
            try write(merge.member(of: stream), to: data(of: stream), at: header.member(of: stream).offset)
        }
        try write(merge.record, to: index, at: merge.offset)
        guard durability == .power else { return }
        for stream in LogStream.allCases { try synchronize(data(of: stream)) }
        try synchronize(index)
    }
}
