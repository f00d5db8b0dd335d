/// Copies job records from one store to another.
///
/// A version that the target has is ignored there, so a copy that was interrupted is begun again. Tombstones are not
/// copied: what was deleted in the source is unknown to the target.
public struct JobRecordCopy: Sendable {
    private let source: any JobStore
    private let target: any JobStore
    private let pageSize: Int

    /// A copy of `source` into `target`.
    public init(from source: any JobStore, to target: any JobStore, pageSize: Int = 500) {
        self.source = source
        self.target = target
        self.pageSize = max(1, pageSize)
    }

    /// Copies every record and compares what arrived. A record that fails is counted, and the copy goes on.
    ///
    /// How many there are is not known before: the totals of `progress` are what was listed so far. Throws what
    /// listing the source throws, what `sync` of the target throws, and `cancelled`.
    public func run(
        progress: @Sendable (CopyProgress) -> Void = { _ in }
    ) async throws(StorageError) -> CopyReport {
        var report = CopyReport()
        var state = CopyProgress()
        var cursor: JobCursor?
        repeat {
            let page = try await source.list(JobQuery(), after: cursor, limit: pageSize)
            state.totalJobs += page.records.count
            state.totalUnits += UInt64(page.records.count)
            do throws(StorageError) {
                try await target.put(page.records)
                try await compare(page.records, &report)
            } catch {
                if error == .cancelled { throw error }
                // One of them was refused: which one, each tells for itself.
                for record in page.records { try await copy(record, &report) }
            }
            state.jobs += page.records.count
            state.units += UInt64(page.records.count)
            progress(state)
            cursor = page.next
        } while cursor != nil
        try await target.sync()
        return report
    }

    private func copy(_ record: JobRecord, _ report: inout CopyReport) async throws(StorageError) {
        do throws(StorageError) {
            try await target.put([record])
            try await compare([record], &report)
        } catch {
            if error == .cancelled { throw error }
            report.failures.append(CopyReport.Failure(job: record.id, error: error))
        }
    }

    private func compare(_ records: [JobRecord], _ report: inout CopyReport) async throws(StorageError) {
        var failures: [CopyReport.Failure] = []
        for record in records {
            let arrived = try await target.get(record.id)
            if arrived.version == record.version, arrived != record {
                failures.append(CopyReport.Failure(job: record.id, error: .corrupt(place: "copy of job \(record.id)")))
            }
        }
        report.failures += failures
        report.jobs += records.count - failures.count
        report.copiedUnits += UInt64(records.count - failures.count)
    }
}
