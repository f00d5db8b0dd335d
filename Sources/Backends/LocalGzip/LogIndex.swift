import Storage

/// The committed blocks of one log, as its index file lists them, without their fragment tables.
///
/// Reading it changes nothing: what a crash left behind the last commit is passed over here and cut
/// when the log is written next.
struct LogIndex {
    /// A block and where its record stands.
    struct Block {
        var header: BlockHeader
        /// Where the record begins in the index.
        var offset: UInt64
        /// Where damage begins that lies between the block before and this one.
        var damageBefore: UInt64?
    }

    /// The blocks, by place.
    var blocks: [Block] = []
    /// Where the next record goes: behind the last whole one.
    var length = UInt64(LogIndex.headerSize)
    /// Where damage begins that no whole record follows.
    var damageAtEnd: UInt64?

    /// Bytes before the first record.
    static let headerSize = 32
    /// How an index begins: `jobletlx`.
    static let magic: [UInt8] = [0x6a, 0x6f, 0x62, 0x6c, 0x65, 0x74, 0x6c, 0x78]
    /// The version of the format.
    static let version: UInt16 = 1

    /// An index without blocks.
    init() {}

    /// The place after the last committed fragment.
    var end: LogCursor { blocks.last?.header.end ?? .start }

    /// The committed length of a stream's file.
    func fileLength(of stream: LogStream) -> UInt64 {
        blocks.last?.header.member(of: stream).end ?? UInt64(Gzip.emptyMember.count)
    }

    /// The first 32 bytes of a job's index.
    static func header(of job: JobID) -> [UInt8] {
        var writer = ByteWriter(capacity: headerSize)
        writer.write(magic)
        writer.write(version)
        writer.write(UInt16(0))
        writer.write(job.words.high.byteSwapped)
        writer.write(job.words.low.byteSwapped)
        writer.write(writer.bytes.withUnsafeBytes { crc32($0) })
        return writer.bytes
    }

    /// The index of `job` that `source` holds.
    ///
    /// Nil where not even the header is whole: nothing was committed. Throws `corrupt(place:)`, naming
    /// `place`, where the header is not that of this job and version.
    init?(of job: JobID, place: String, source: IndexSource) throws(StorageError) {
        guard source.size >= Self.headerSize else { return nil }
        let header = try source.bytes(at: 0, count: Self.headerSize)
        guard header == Self.header(of: job) else {
            if header.allSatisfy({ $0 == 0 }) { return nil }
            throw .corrupt(place: "\(place) at 0")
        }
        try walk(source)
        try checkLastTable(source)
    }

    private mutating func walk(_ source: IndexSource) throws(StorageError) {
        var offset = length
        var damage: UInt64?
        while offset < source.size {
            let bytes = try source.bytes(at: offset, count: BlockHeader.size)
            // The end of a record that was being written.
            if bytes.count < BlockHeader.size { break }
            if let header = bytes.withUnsafeBytes({ BlockHeader($0) }), follows(header) {
                if source.size - offset < header.recordLength { break }
                blocks.append(Block(header: header, offset: offset, damageBefore: damage))
                damage = nil
                offset += header.recordLength
                length = offset
            } else {
                guard let next = try nextRecord(source, from: offset + 1) else {
                    // Zeros behind the last record are the end of a file whose last page was not written.
                    if !bytes.allSatisfy({ $0 == 0 }) { damage = damage ?? offset }
                    break
                }
                damage = damage ?? offset
                offset = next
            }
        }
        damageAtEnd = damage
    }

    private func follows(_ header: BlockHeader) -> Bool {
        header.follows(end, stdout: fileLength(of: .stdout), stderr: fileLength(of: .stderr))
    }

    /// Where the next whole record begins, from `offset` on.
    private func nextRecord(_ source: IndexSource, from offset: UInt64) throws(StorageError) -> UInt64? {
        var offset = offset
        while let candidate = try source.find(BlockHeader.magic, from: offset) {
            let bytes = try source.bytes(at: candidate, count: BlockHeader.size)
            if let header = bytes.withUnsafeBytes({ BlockHeader($0) }), follows(header),
                try table(of: header, at: candidate, source) != nil
            {
                return candidate
            }
            offset = candidate + 1
        }
        return nil
    }

    /// The last record may be torn within its table: its file's size was durable, its bytes were not.
    private mutating func checkLastTable(_ source: IndexSource) throws(StorageError) {
        guard let last = blocks.last, try table(of: last.header, at: last.offset, source) == nil else { return }
        blocks.removeLast()
        damageAtEnd = last.damageBefore ?? last.offset
        length = last.offset
    }

    private func table(
        of header: BlockHeader, at offset: UInt64, _ source: IndexSource
    ) throws(StorageError) -> [Fragment]? {
        let table = try source.bytes(at: offset + UInt64(BlockHeader.size), count: Int(header.tableLength))
        return table.withUnsafeBytes { FragmentTable.decode($0, of: header) }
    }
}

/// The bytes of an index, read where they are asked for.
struct IndexSource {
    /// The length of the index.
    let size: UInt64
    /// Fills a buffer from an offset on; returns how many bytes there were.
    let read: (UInt64, UnsafeMutableRawBufferPointer) throws(StorageError) -> Int

    /// Up to `count` bytes at `offset`; fewer where the index ends.
    func bytes(at offset: UInt64, count: Int) throws(StorageError) -> [UInt8] {
        guard offset < size else { return [] }
        let count = Int(min(UInt64(count), size - offset))
        var bytes: [UInt8] = []
        try bytes.append(addingCapacity: count) { (span) throws(StorageError) in
            try span.withUnsafeMutableBufferPointer { (buffer, initialized) throws(StorageError) in
                let target = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
                initialized = try read(offset, target)
            }
        }
        return bytes
    }

    /// Where `pattern` stands next, from `offset` on.
    func find(_ pattern: [UInt8], from offset: UInt64) throws(StorageError) -> UInt64? {
        var offset = offset
        while true {
            let window = try bytes(at: offset, count: 1 << 20)
            guard window.count >= pattern.count else { return nil }
            let found = window.indices.dropLast(pattern.count - 1).first { index in
                window[index] == pattern[0] && window[index..<index + pattern.count].elementsEqual(pattern)
            }
            if let found { return offset + UInt64(found) }
            offset += UInt64(window.count - pattern.count + 1)
        }
    }
}
