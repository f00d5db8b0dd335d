import JobletAPI
import Storage
import SwiftProtobuf

/// The metric store of a storage worker.
struct WorkerMetricStore: MetricStore {
    let writing: WorkerLink
    let reading: WorkerLink

    func append(_ samples: [MetricSample], to job: JobID) async throws(StorageError) {
        let limit = RequestBudget.pageBytes(frameLimit: writing.currentFrameLimit)
        var part = Joblet_Ipc_AppendMetrics.with { $0.job = job.message }
        var size = 0
        for sample in samples {
            let message = sample.message
            let bytes = message.encodedSize
            if size + bytes > limit, !part.samples.isEmpty {
                try await writing.perform(.appendMetrics(part), size: size)
                part.samples = []
                size = 0
            }
            part.samples.append(message)
            size += bytes
        }
        if !part.samples.isEmpty { try await writing.perform(.appendMetrics(part), size: size) }
    }

    func skip(to sequence: UInt64, of job: JobID) async throws(StorageError) {
        try await writing.perform(
            .skipMetrics(
                .with { message in
                    message.job = job.message
                    message.position = sequence
                }))
    }

    func sync(_ jobs: [JobID]) async throws(StorageError) -> [JobID: UInt64] {
        try await writing.ends(of: jobs) { .syncMetrics($0) }
    }

    func finish(_ job: JobID) async throws(StorageError) {
        try await writing.perform(.finishMetrics(job.message))
    }

    func end(of job: JobID) async throws(StorageError) -> UInt64? {
        try await reading.position(.endOfMetrics(job.message))
    }

    func read(_ query: MetricQuery, from sequence: UInt64, limit: Int) async throws(StorageError) -> MetricPage {
        let call = Joblet_Ipc_ReadMetrics.with { message in
            message.query = query.message
            message.from = sequence
            message.limit = UInt64(max(1, limit))
        }
        guard case .metricPage(let page) = try await reading.call(.readMetrics(call)) else {
            throw WorkerLink.mismatch
        }
        return try WorkerLink.reading { () throws(MalformedMessage) in try MetricPage(page) }
    }

    func checkBackend() async throws(StorageError) {
        try await reading.perform(.check(.init()))
    }

    func delete(_ job: JobID) async throws(StorageError) {
        try await writing.perform(.deleteMetrics(job.message))
    }

    func jobs(after job: JobID?, limit: Int) async throws(StorageError) -> [JobID] {
        try await reading.page(after: job, limit: limit) { .metricJobs($0) }
    }

    func usages(after job: JobID?, limit: Int) async throws(StorageError) -> [JobUsage] {
        try await reading.usages(after: job, limit: limit) { .metricUsages($0) }
    }

    func trim(_ job: JobID, to bytes: UInt64) async throws(StorageError) -> UInt64 {
        try await writing.trim(.trimMetrics(.init(job, to: bytes)))
    }

    func statistics(of job: JobID) async throws(StorageError) -> MetricStatistics {
        guard case .metricStatistics(let message) = try await reading.call(.metricStatistics(job.message)) else {
            throw WorkerLink.mismatch
        }
        return try WorkerLink.reading { () throws(MalformedMessage) in try MetricStatistics(message) }
    }
}
