import JobletAPI
import Storage
import SwiftProtobuf

/// The log store of a storage worker.
struct WorkerLogStore: LogStore {
    let writing: WorkerLink
    let reading: WorkerLink

    func append(_ run: FragmentRun, to job: JobID) async throws(StorageError) {
        for part in run.parts(bytes: RequestBudget.pageBytes(frameLimit: writing.currentFrameLimit)) {
            let size = part.bytes.count + 24 * part.fragments.count
            try await writing.perform(.appendLog(.init(part, job: job)), size: size)
        }
    }

    func skip(to position: UInt64, of job: JobID, time: Int64) async throws(StorageError) {
        try await writing.perform(
            .skipLog(
                .with { message in
                    message.job = job.message
                    message.position = position
                    message.time = time
                }))
    }

    func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await writing.ends(of: jobs) { .syncLogs($0) }
    }

    func finish(_ job: JobID) async throws(StorageError) {
        try await writing.perform(.finishLog(job.message))
    }

    func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await reading.position(.endOfLog(job.message))
    }

    func read(_ query: LogQuery, after cursor: LogCursor, maxBytes: Int) async throws(StorageError) -> LogPage {
        let call = Joblet_Ipc_ReadLog.with { message in
            message.query = query.message
            message.after = cursor.message
            message.maxBytes = UInt64(max(1, maxBytes))
        }
        guard case .logPage(let page) = try await reading.call(.readLog(call)) else { throw WorkerLink.mismatch }
        return try WorkerLink.reading { () throws(MalformedMessage) in try LogPage(page) }
    }

    func cursor(forLast lines: Int, of query: LogQuery) async throws(StorageError) -> LogCursor {
        let call = Joblet_Ipc_LogTail.with { message in
            message.query = query.message
            message.lines = UInt64(max(0, lines))
        }
        guard case .logCursor(let cursor) = try await reading.call(.logTail(call)) else { throw WorkerLink.mismatch }
        return LogCursor(cursor)
    }

    func checkBackend() async throws(StorageError) {
        try await reading.perform(.check(.init()))
    }

    func delete(_ job: JobID) async throws(StorageError) {
        try await writing.perform(.deleteLog(job.message))
    }

    func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await reading.page(after: job, limit: limit) { .logJobs($0) }
    }

    func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        try await reading.usages(after: job, limit: limit) { .logUsages($0) }
    }

    func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await writing.trim(.trimLog(.init(job, to: bytes)))
    }

    func statistics(of job: JobID) async throws(StorageError) -> LogStatistics {
        guard case .logStatistics(let message) = try await reading.call(.logStatistics(job.message)) else {
            throw WorkerLink.mismatch
        }
        return try WorkerLink.reading { () throws(MalformedMessage) in try LogStatistics(message) }
    }
}

extension FragmentRun {
    /// The run in parts of at most `limit` bytes and as many fragments as a page has; none of an empty run.
    func parts(bytes limit: Int) -> [FragmentRun] {
        let fits = bytes.count <= limit && fragments.count <= LogPage.maximumFragments
        if fits { return isEmpty ? [] : [self] }
        var parts: [FragmentRun] = []
        var part = FragmentRun(start: start)
        func close() {
            if !part.isEmpty { parts.append(part) }
            part = FragmentRun(start: part.end)
        }
        forEach { fragment, bytes in
            guard case .bytes = fragment.content else {
                if part.fragments.count >= LogPage.maximumFragments { close() }
                if case .dropped(let count) = fragment.content {
                    part.appendGap(stream: fragment.stream, time: fragment.time, dropped: count)
                }
                return
            }
            var rest = bytes
            while !rest.isEmpty {
                if part.bytes.count >= limit || part.fragments.count >= LogPage.maximumFragments { close() }
                let piece = rest.prefix(limit - part.bytes.count)
                part.append(stream: fragment.stream, time: fragment.time, bytes: piece)
                rest = rest.dropFirst(piece.count)
            }
        }
        close()
        return parts
    }
}
