import JobletAPI
import Storage
import SwiftProtobuf

/// The store of job records of a storage worker.
struct WorkerJobStore: JobStore {
    let writing: WorkerLink
    let reading: WorkerLink

    func put(_ records: [JobRecord]) async throws(StorageError) {
        let limit = RequestBudget.pageBytes(frameLimit: writing.currentFrameLimit)
        var part = Joblet_Ipc_Records()
        var size = 0
        for record in records {
            let bytes = record.wire
            if size + bytes.count > limit, !part.records.isEmpty {
                try await writing.perform(.putRecords(part), size: size)
                part.records = []
                size = 0
            }
            part.records.append(bytes)
            size += bytes.count + 8
        }
        if !part.records.isEmpty { try await writing.perform(.putRecords(part), size: size) }
    }

    func sync() async throws(StorageError) {
        try await writing.perform(.syncRecords(.init()))
    }

    func get(_ id: JobID) async throws(StorageError) -> JobRecord {
        guard case .records(let answer) = try await reading.call(.getRecord(id.message)) else {
            throw WorkerLink.mismatch
        }
        let records = try WorkerLink.reading { () throws(MalformedMessage) in try answer.list() }
        guard let record = records.first, record.id == id else { throw WorkerLink.mismatch }
        return record
    }

    func ids(prefix: JobIDPrefix, limit: Int) async throws(StorageError) -> [JobID] {
        try await reading.jobs(
            .recordIds(
                .with { message in
                    message.prefix = prefix.text
                    message.limit = UInt64(max(0, limit))
                }))
    }

    func list(_ query: JobQuery, after cursor: JobCursor?, limit: Int) async throws(StorageError) -> JobPage {
        guard
            case .records(let answer) = try await reading.call(
                .listRecords(query.message(after: cursor, limit: limit)))
        else { throw WorkerLink.mismatch }
        let records = try WorkerLink.reading { () throws(MalformedMessage) in try answer.list() }
        return JobPage(records: records, next: answer.hasNext ? JobCursor(answer.next) : nil)
    }

    func delete(_ id: JobID, version: UInt64) async throws(StorageError) {
        try await writing.perform(
            .deleteRecord(
                .with { message in
                    message.job = id.message
                    message.version = version
                }))
    }
}
