import FoundationEssentials
import Kernel
public import Storage

/// One change that the stores must learn of.
public enum JournalEntry: Sendable, Hashable, Codable {
    /// A new version of a job's record.
    case record(JobRecord)
    /// The job was deleted; its tombstone has that version.
    case deleted(JobID, version: UInt64)

    /// The job.
    public var job: JobID {
        switch self {
        case .record(let record): record.id
        case .deleted(let id, _): id
        }
    }

    /// The version of the change.
    public var version: UInt64 {
        switch self {
        case .record(let record): record.version
        case .deleted(_, let version): version
        }
    }

    /// Whether the job was deleted.
    var isDeletion: Bool {
        if case .deleted = self { true } else { false }
    }

    /// The entry as it lies in the journal: JSON in a record's frame.
    var encoded: [UInt8] {
        // The form that Codable reads.
        let body: [UInt8] =
            switch self {
            case .record(let record): Array("{\"record\":{\"_0\":".utf8) + record.json + Array("}}".utf8)
            case .deleted(let id, let version):
                Array("{\"deleted\":{\"_0\":\"\(id)\",\"version\":\(version)}}".utf8)
            }
        return RecordFrame.encode(body)
    }

    /// What is in the bytes of a journal.
    struct Decoded {
        /// The entries, in order, and where each lies.
        var entries: [(entry: JournalEntry, range: Range<Int>)] = []
        /// Where the last one ends: behind it is what was being written when the host or the daemon stopped.
        var length = 0
        /// Stretches between entries that are none.
        var damage: [Range<Int>] = []
    }

    /// All entries that are whole.
    static func decode(_ bytes: [UInt8]) -> Decoded {
        var found = Decoded()
        while true {
            while let (body, length) = RecordFrame.decode(bytes[found.length...]), let entry = JournalEntry(body) {
                found.entries.append((entry, found.length..<found.length + length))
                found.length += length
            }
            let rest = bytes[found.length...]
            guard let next = RecordFrame.first(in: rest, where: { JournalEntry($0) != nil }) else { return found }
            found.damage.append(found.length..<next)
            found.length = next
        }
    }

    private init?(_ body: ArraySlice<UInt8>) {
        guard let entry = try? JSONDecoder().decode(JournalEntry.self, from: Data(body)) else { return nil }
        self = entry
    }
}
