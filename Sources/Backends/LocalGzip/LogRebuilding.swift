import Storage

/// Makes a log's index anew from its data files, where it is lost or cannot be believed.
///
/// The members tell what was written to each stream and nothing else: the order between the streams is lost, so
/// stdout comes before stderr, and every byte gets the time at which its file was last written.
struct LogRebuilding {
    /// The most bytes of a member that can be one of ours.
    private static let largestMember = Int(BlockHeader.largest)

    private let files: LogFiles
    private let codec: BlockCodec
    private var run = FragmentRun(start: 0)
    private var bytes: UInt64 = 0

    init(_ files: LogFiles, codec: BlockCodec) {
        self.files = files
        self.codec = codec
    }

    /// Returns how many bytes the log has now; nil where there is nothing to make it from.
    mutating func rebuild(_ job: JobID, _ durability: Durability) throws(StorageError) -> UInt64? {
        guard try hasText() else { return nil }
        var replacement = try LogReplacement(of: job, in: files)
        var time = Int64.min
        for stream in LogStream.allCases {
            let path = files.data(of: stream)
            guard var reader = try GzipReader.open(path), let modified = try File.modified(path) else { continue }
            // A log's times never go back.
            time = max(time, modified)
            try read(&reader, stream, time, into: &replacement)
        }
        try flush(into: &replacement)
        try replacement.commit(durability)
        return bytes
    }

    private func hasText() throws(StorageError) -> Bool {
        for stream in LogStream.allCases where try files.length(of: stream) > UInt64(Gzip.emptyMember.count) {
            return true
        }
        return false
    }

    private mutating func read(
        _ reader: inout GzipReader, _ stream: LogStream, _ time: Int64, into replacement: inout LogReplacement
    ) throws(StorageError) {
        var member: [UInt8] = []
        while true {
            switch try reader.next() {
            case .text(let text) where member.count + text.count <= Self.largestMember:
                member += text
                continue
            case .memberEnd:
                try add(member, stream, time, into: &replacement)
                member = []
                continue
            case .end: return
            case .text, .damaged, .truncated:
                member = []
                let damage = reader.memberStart
                let isFound = try reader.seekMember()
                let next = isFound ? reader.memberStart : try files.length(of: stream)
                // How much text it was is not known: its compressed length is what can be said.
                run.appendGap(stream: stream, time: time, dropped: next - damage)
                if !isFound { return }
            }
        }
    }

    private mutating func add(
        _ text: [UInt8], _ stream: LogStream, _ time: Int64, into replacement: inout LogReplacement
    ) throws(StorageError) {
        var rest = text[...]
        while !rest.isEmpty {
            let room = JobLog.blockBytes - run.bytes.count
            run.append(stream: stream, time: time, bytes: rest.prefix(room))
            bytes += UInt64(min(room, rest.count))
            rest = rest.dropFirst(room)
            if run.bytes.count == JobLog.blockBytes { try flush(into: &replacement) }
        }
    }

    private mutating func flush(into replacement: inout LogReplacement) throws(StorageError) {
        guard !run.isEmpty else { return }
        try replacement.add(codec.encode(LogBlock(run)))
        run = FragmentRun(start: run.end)
    }
}
