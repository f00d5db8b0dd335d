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
        for stream in OutputStream.allCases {
            var status = stat()
            sizes.append(stat(files.data(stream, number), &status) == 0 ? UInt64(status.st_size) : 0)
        }
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
        if try index.size() > end { try index.truncate(to: end) }
        records = count
        self.last = last
        self.offsets = offsets
    }
}
