import Storage

/// What a log's files have behind the last record whose members are whole, as of an interrupted write or of a damaged end.
struct TornEnd: Equatable {
    /// Bytes of text that records promise and the data files do not have.
    var missingBytes: UInt64 = 0
    /// Compressed bytes of a stream that no record names.
    var unnamed: [LogStream: UInt64] = [:]

    var isEmpty: Bool { missingBytes == 0 && unnamed.isEmpty }
}

extension JobLog {
    /// What is behind the last whole record.
    func tornEnd() throws(StorageError) -> TornEnd {
        var torn = TornEnd()
        var lengths: [LogStream: UInt64] = [:]
        for stream in LogStream.allCases { lengths[stream] = try files.length(of: stream) }
        var whole = index.blocks[...]
        while let last = whole.last?.header,
            LogStream.allCases.contains(where: { last.member(of: $0).end > lengths[$0] ?? 0 })
        {
            torn.missingBytes += last.end.position - last.start.position
            whole.removeLast()
        }
        // The other stream's part of such a record goes with it.
        guard torn.missingBytes == 0 else { return torn }
        for stream in LogStream.allCases {
            let length = lengths[stream] ?? 0
            if length > index.fileLength(of: stream) { torn.unnamed[stream] = length - index.fileLength(of: stream) }
        }
        return torn
    }

    /// The text of members that no record names, and of what cannot be read among them its compressed length.
    func unnamedText(_ torn: TornEnd) throws(StorageError) -> [FragmentRun] {
        var runs: [FragmentRun] = []
        for stream in LogStream.allCases where torn.unnamed[stream] != nil {
            let path = files.data(of: stream)
            guard var reader = try GzipReader.open(path), let time = try File.modified(path) else { continue }
            let start = index.fileLength(of: stream)
            var member: [UInt8] = []
            var isAtEnd = false
            while !isAtEnd {
                let isUnnamed = reader.memberStart >= start
                var run = FragmentRun(start: 0)
                switch try reader.next() {
                case .text(let text): if isUnnamed { member += text }
                case .memberEnd:
                    run.append(stream: stream, time: time, bytes: member)
                    member = []
                case .end: isAtEnd = true
                case .damaged, .truncated:
                    let damage = max(start, reader.memberStart)
                    let next = try reader.seekMember() ? reader.memberStart : try files.length(of: stream)
                    isAtEnd = try next == files.length(of: stream)
                    member = []
                    if next > damage { run.appendGap(stream: stream, time: time, dropped: next - damage) }
                }
                if !run.isEmpty { runs.append(run) }
            }
        }
        return runs
    }

    /// Adds what was behind the last record and was cut: text where it was found again, notes of what was not; returns
    /// how many bytes are lost.
    func restore(_ torn: TornEnd, _ runs: [FragmentRun]) throws(StorageError) -> UInt64 {
        var lost = torn.missingBytes
        // Each file has a time of its own, and a log's times never go back.
        var time = index.blocks.last?.header.times.upperBound ?? .min
        if lost > 0 {
            time = max(time, try File.modified(files.index) ?? 0)
            try skip(to: end + lost, time: time)
        }
        for run in runs {
            var moved = FragmentRun(start: end)
            var offset = 0
            for fragment in run.fragments {
                time = max(time, fragment.time)
                switch fragment.content {
                case .dropped(let count):
                    moved.appendGap(stream: fragment.stream, time: time, dropped: count)
                    lost += count
                case .bytes(let count):
                    moved.append(stream: fragment.stream, time: time, bytes: run.bytes[offset..<offset + count])
                    offset += count
                }
            }
            try append(moved)
        }
        _ = try sync()
        return lost
    }
}
