import Glibc
import Kernel

/// The newest segment as a writer finds it: its entries up to the last that is whole and has its bytes.
struct RecoveredSegment {
    let header: SegmentHeader
    let index: FileDescriptor
    let records: Int
    let last: IndexRecord?
    let offsets: [UInt64]

    /// Nil where the file holds no header of this job, so that the segment never began.
    init?(files: SegmentFiles, number: UInt32, job: OutboxJob) throws(SystemCallError) {
        index = try FileDescriptor.open(files.index(number), flags: O_RDWR)
        guard let header = SegmentHeader(try index.read(at: 0, count: SegmentHeader.size)), header.job == job,
            header.number == number
        else { return nil }
        self.header = header
        var sizes: [UInt64] = []
        for stream in OutputStream.allCases { sizes.append(try files.dataSize(stream, number) ?? 0) }
        var offsets = header.offsets
        var last: IndexRecord?
        var count = 0
        scan: while true {
            let chunk = try index.read(
                at: SegmentHeader.size + count * IndexRecord.size, count: 1024 * IndexRecord.size)
            var start = 0
            while start + IndexRecord.size <= chunk.count {
                guard let record = IndexRecord(chunk[start..<start + IndexRecord.size]),
                    record.position == offsets[0] + offsets[1]
                else { break scan }
                if case .data(let stream, let offset, let bytes) = record.kind {
                    // An entry whose bytes a power cut took is cut off with everything behind it.
                    guard offset == offsets[stream.slot],
                        offset + UInt64(bytes) - header.offsets[stream.slot] <= sizes[stream.slot]
                    else { break scan }
                    offsets[stream.slot] += UInt64(bytes)
                }
                last = record
                count += 1
                start += IndexRecord.size
                if record.kind == .end { break scan }
            }
            if chunk.count < 1024 * IndexRecord.size { break }
        }
        let end = SegmentHeader.size + count * IndexRecord.size
        if try index.size() > end {
            try FailPoint.pass("pump.beforeTruncate")
            try index.truncate(to: end)
            try FailPoint.pass("pump.afterTruncate")
        }
        records = count
        self.last = last
        self.offsets = offsets
    }

    /// The segment that `job`'s log goes on in; nil where there is none.
    ///
    /// A power cut may leave a segment short although the next one exists. Bytes behind such a hole have no
    /// position, so the log is cut there.
    static func newest(
        of numbers: [UInt32], files: SegmentFiles, job: OutboxJob
    ) throws(SystemCallError) -> RecoveredSegment? {
        var newest: SegmentHeader?
        for number in numbers {
            var header = try files.header(of: number)
            if header?.job != job || header?.number != number {
                header = try rebuiltHeader(number, after: newest, files: files, job: job)
            }
            guard let header else { break }
            if let newest, try !leads(files, newest, to: header) { break }
            newest = header
        }
        guard let newest else {
            guard let first = numbers.first else { return nil }
            throw SystemCallError("read the header of index.\(first)", code: EBADMSG)
        }
        for number in numbers.reversed() where number > newest.number { try files.remove(number) }
        return try RecoveredSegment(files: files, number: newest.number, job: job)
    }

    /// Writes the header that a power cut took; nil where nothing tells at which position the segment begins.
    private static func rebuiltHeader(
        _ number: UInt32, after previous: SegmentHeader?, files: SegmentFiles, job: OutboxJob
    ) throws(SystemCallError) -> SegmentHeader? {
        var header = SegmentHeader(number: number, job: job, time: 0, offsets: [0, 0])
        if let previous {
            guard previous.number + 1 == number,
                let segment = try RecoveredSegment(files: files, number: previous.number, job: job)
            else { return nil }
            header.offsets = segment.offsets
            header.time = segment.last?.time ?? previous.time
        } else if number > 0 {
            return nil
        }
        try FileDescriptor.open(files.index(number), flags: O_WRONLY).write(header.encoded, at: 0)
        return header
    }

    /// Whether a segment holds everything up to where `next` begins, as far as its files are still there.
    private static func leads(
        _ files: SegmentFiles, _ segment: SegmentHeader, to next: SegmentHeader
    ) throws(SystemCallError) -> Bool {
        let index: FileDescriptor
        do {
            index = try FileDescriptor.open(files.index(segment.number), flags: O_RDONLY)
        } catch {
            if error.code == ENOENT { return true }
            throw error
        }
        var end = segment.base
        let size = try index.size()
        if size > SegmentHeader.size {
            let bytes = try index.read(at: size - IndexRecord.size, count: IndexRecord.size)
            guard let last = IndexRecord(bytes[...]) else { return false }
            end = last.end
        }
        guard end == next.base else { return false }
        for stream in OutputStream.allCases {
            let (begin, end) = (segment.offsets[stream.slot], next.offsets[stream.slot])
            guard begin <= end else { return false }
            if let size = try files.dataSize(stream, segment.number), size < end - begin { return false }
        }
        return true
    }
}
