/// Reads a whole job store and checks that it keeps its promises.
public struct JobRecordVerification: Sendable {
    /// Something that is wrong with a record.
    public enum Problem: Sendable, Equatable {
        /// It could not be read.
        case unreadable(StorageError)
        /// The list has it at the wrong place, or twice.
        case order(JobID)
        /// Asked for by its id it is another one, or not there.
        case mismatch(JobID)
        /// Its version, times and status cannot be.
        case nonsense(JobID, reason: String)
    }

    /// What was found out.
    public struct Report: Sendable, Equatable {
        /// Records that were read.
        public var records = 0
        /// What is wrong; nothing for a sound store.
        public var problems: [Problem] = []

        /// Nothing was looked at.
        public init() {}
    }

    private let store: any JobStore

    /// A verification of `store`, in which nothing should be written meanwhile.
    public init(of store: any JobStore) {
        self.store = store
    }

    /// Checks every record. `progress` is called with the number of records after each page.
    ///
    /// A list that cannot be read ends the check, as the last problem. Throws only `cancelled`.
    public func run(progress: @Sendable (Int) -> Void = { _ in }) async throws(StorageError) -> Report {
        var report = Report()
        var cursor: JobCursor?
        do throws(StorageError) {
            repeat {
                let page = try await store.list(JobQuery(), after: cursor, limit: 500)
                for record in page.records {
                    let place = JobCursor(record)
                    if let cursor, place <= cursor { report.problems.append(.order(record.id)) }
                    cursor = place
                    try await check(record, &report)
                }
                report.records += page.records.count
                progress(report.records)
                cursor = page.next
            } while cursor != nil
        } catch {
            if error == .cancelled { throw error }
            report.problems.append(.unreadable(error))
        }
        return report
    }

    private func check(_ record: JobRecord, _ report: inout Report) async throws(StorageError) {
        if Task.isCancelled { throw .cancelled }
        do throws(StorageError) {
            if try await store.get(record.id) != record { report.problems.append(.mismatch(record.id)) }
        } catch .notFound {
            report.problems.append(.mismatch(record.id))
        }
        if record.version == 0 { report.problems.append(.nonsense(record.id, reason: "version 0")) }
        if record.status.isTerminal, record.endedAt == nil {
            report.problems.append(.nonsense(record.id, reason: "\(record.status.rawValue) without a time of its end"))
        }
    }
}
