import Foundation
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

    /// The entry as it lies in the journal: length (32 bits), CRC-32C of what follows, JSON.
    func encoded() throws(EngineError) -> [UInt8] {
        let body: [UInt8]
        do {
            body = Array(try JSONEncoder().encode(self))
        } catch {
            throw EngineError(.internal, "encode a journal entry: \(error)")
        }
        var writer = ByteWriter()
        writer.write(UInt32(body.count))
        writer.write(Checksum.crc32c(body))
        return writer.bytes + body
    }

    /// The entries at the beginning of `bytes`, up to the first that is not whole, and where each lies.
    static func decode(_ bytes: [UInt8]) -> [(entry: JournalEntry, range: Range<Int>)] {
        var entries: [(entry: JournalEntry, range: Range<Int>)] = []
        var offset = 0
        while bytes.count - offset >= 8 {
            var reader = ByteReader(bytes[offset..<offset + 8])
            guard let count = try? reader.read(UInt32.self), let sum = try? reader.read(UInt32.self),
                Int(count) <= bytes.count - offset - 8
            else { break }
            let body = bytes[offset + 8..<offset + 8 + Int(count)]
            guard sum == Checksum.crc32c(body),
                let entry = try? JSONDecoder().decode(JournalEntry.self, from: Data(body))
            else { break }
            entries.append((entry, offset..<offset + 8 + Int(count)))
            offset += 8 + Int(count)
        }
        return entries
    }
}
