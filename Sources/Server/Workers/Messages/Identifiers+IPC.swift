import FoundationEssentials
import JobletAPI
import Storage
import SwiftProtobuf

extension JobID {
    init(_ message: Joblet_Ipc_JobID) {
        self.init(high: message.high, low: message.low)
    }

    /// The id as a message.
    var message: Joblet_Ipc_JobID {
        .with { message in
            message.high = words.high
            message.low = words.low
        }
    }

    /// The ids that lie one after another in `bytes`.
    static func list(_ bytes: Data) throws(MalformedMessage) -> [JobID] {
        guard bytes.count.isMultiple(of: 16) else { throw MalformedMessage("a list of ids is cut off") }
        return bytes.withUnsafeBytes { buffer in
            (0..<buffer.count / 16).map { index in
                JobID(
                    high: UInt64(bigEndian: buffer.loadUnaligned(fromByteOffset: 16 * index, as: UInt64.self)),
                    low: UInt64(bigEndian: buffer.loadUnaligned(fromByteOffset: 16 * index + 8, as: UInt64.self)))
            }
        }
    }

    /// The ids one after another.
    static func bytes(_ ids: [JobID]) -> Data {
        var bytes = Data(capacity: 16 * ids.count)
        for id in ids {
            withUnsafeBytes(of: id.words.high.bigEndian) { bytes.append(contentsOf: $0) }
            withUnsafeBytes(of: id.words.low.bigEndian) { bytes.append(contentsOf: $0) }
        }
        return bytes
    }
}

extension Joblet_Ipc_Jobs {
    init(_ jobs: [JobID]) {
        self.init()
        ids = JobID.bytes(jobs)
    }
}

extension Joblet_Ipc_Positions {
    init(_ ends: [JobID: UInt64]) {
        self.init()
        let entries = Array(ends)
        ids = JobID.bytes(entries.map(\.key))
        positions = entries.map(\.value)
    }

    /// The ends by job.
    func ends() throws(MalformedMessage) -> [JobID: UInt64] {
        let jobs = try JobID.list(ids)
        guard jobs.count == positions.count else { throw MalformedMessage("ids and positions do not match") }
        return Dictionary(zip(jobs, positions)) { $1 }
    }
}

/// A count of the wire as one of this host, at most `limit`.
func count(_ value: UInt64, atMost limit: Int = .max) -> Int {
    Swift.min(Int(clamping: value), limit)
}
