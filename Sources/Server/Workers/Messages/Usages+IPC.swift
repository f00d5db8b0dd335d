import JobletAPI
import Storage
import SwiftProtobuf

extension Joblet_Ipc_Usages {
    init(_ usages: [JobUsage]) {
        self.init()
        self.usages = usages.map { usage in
            .with { message in
                message.job = usage.job.message
                message.storedBytes = usage.storedBytes
                if let times = usage.times {
                    message.earliest = times.lowerBound
                    message.latest = times.upperBound
                }
            }
        }
    }

    /// The usages of the message.
    func list() throws(MalformedMessage) -> [JobUsage] {
        try usages.map { message throws(MalformedMessage) in
            JobUsage(
                job: JobID(message.job), storedBytes: message.storedBytes,
                times: try range(
                    message.hasEarliest ? message.earliest : nil, message.hasLatest ? message.latest : nil))
        }
    }
}

extension Joblet_Ipc_Size {
    init(_ bytes: UInt64) {
        self.init()
        self.bytes = bytes
    }
}

extension Joblet_Ipc_Trim {
    init(_ job: JobID, to bytes: UInt64) {
        self.init()
        self.job = job.message
        self.bytes = bytes
    }
}
