import FoundationEssentials
import JobletAPI
import Storage
import SwiftProtobuf

extension JobRecord {
    /// The record that the bytes of a message are.
    init(wire bytes: Data) throws(MalformedMessage) {
        do {
            self = try JSONDecoder().decode(JobRecord.self, from: bytes)
        } catch {
            throw MalformedMessage("a job record that cannot be read: \(error)")
        }
    }

    /// The bytes of the record in a message.
    var wire: Data { Data(json) }
}

extension JobCursor {
    init(_ message: Joblet_Ipc_JobCursor) {
        self.init(createdAt: message.createdAt, id: JobID(message.id))
    }

    /// The cursor as a message.
    var message: Joblet_Ipc_JobCursor {
        .with { message in
            message.createdAt = createdAt
            message.id = id.message
        }
    }
}

extension Joblet_Ipc_Records {
    /// A page of records of at most `limit` bytes, but at least one record: what is left out is on the next page.
    init(_ page: JobPage, limit: Int) {
        self.init()
        var size = 0
        for (index, record) in page.records.enumerated() {
            let bytes = record.wire
            size += bytes.count + 8
            if size > limit, index > 0 {
                next = JobCursor(page.records[index - 1]).message
                return
            }
            records.append(bytes)
        }
        if let cursor = page.next { next = cursor.message }
    }

    /// The records of the message.
    func list() throws(MalformedMessage) -> [JobRecord] {
        var list: [JobRecord] = []
        list.reserveCapacity(records.count)
        for bytes in records { list.append(try JobRecord(wire: bytes)) }
        return list
    }
}

extension JobQuery {
    init(_ message: Joblet_Ipc_ListRecords) throws(MalformedMessage) {
        self.init(
            node: message.hasNode ? message.node : nil, name: message.hasName ? message.name : nil,
            created: try range(
                message.hasCreatedFrom ? message.createdFrom : nil, message.hasCreatedTo ? message.createdTo : nil))
        guard message.hasStatuses else { return }
        var wanted: Set<JobStatus> = []
        for name in message.statuses.names {
            guard let status = JobStatus(rawValue: name) else {
                throw MalformedMessage("a status unknown here: \(name.prefix(32))")
            }
            wanted.insert(status)
        }
        statuses = wanted
    }

    /// The query for a page of at most `limit` records from after `cursor` on, as a message.
    func message(after cursor: JobCursor?, limit: Int) -> Joblet_Ipc_ListRecords {
        .with { message in
            if let node { message.node = node }
            if let name { message.name = name }
            if let created {
                message.createdFrom = created.lowerBound
                message.createdTo = created.upperBound
            }
            if let statuses { message.statuses = .with { $0.names = statuses.map(\.rawValue) } }
            if let cursor { message.after = cursor.message }
            message.limit = UInt64(Swift.max(0, limit))
        }
    }
}
