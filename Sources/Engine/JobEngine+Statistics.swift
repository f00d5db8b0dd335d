public import Storage

/// What a node has stored.
public struct StoredData: Sendable, Equatable {
    /// What one store holds of all jobs.
    public struct Store: Sendable, Equatable {
        /// Jobs that have data there.
        public var jobs: UInt64 = 0
        /// Bytes of output; zero for samples.
        public var bytes: UInt64 = 0
        /// Lines or samples.
        public var entries: UInt64 = 0
        /// Bytes the store uses for them.
        public var storedBytes: UInt64 = 0
        /// The earliest time, nanoseconds since 1970; nil where there is nothing.
        public var oldest: Int64?
        /// Jobs whose data could not be read.
        public var damagedJobs: UInt64 = 0
        /// Why the rest cannot be told, or else why the store takes nothing; nil where it works.
        public var problem: StorageError?

        mutating func add(bytes: UInt64, entries: UInt64, storedBytes: UInt64, times: ClosedRange<Int64>?) {
            jobs += 1
            self.bytes += bytes
            self.entries += entries
            self.storedBytes += storedBytes
            if let first = times?.lowerBound { oldest = min(oldest ?? first, first) }
        }
    }

    /// What is stored of one job.
    public struct Job: Sendable, Equatable {
        /// The job.
        public var id: JobID
        /// Bytes of its output.
        public var logBytes: UInt64 = 0
        /// Lines of its output.
        public var lines: UInt64 = 0
        /// Its samples.
        public var samples: UInt64 = 0
        /// Bytes the stores use for them.
        public var storedBytes: UInt64 = 0
    }

    /// The log store.
    public var logs = Store()
    /// The metric store.
    public var metrics = Store()
    /// Jobs of this node that have a record in the store.
    public var records: UInt64 = 0
    /// Why job records cannot be read, or else why their store takes none; nil where it works.
    public var recordsProblem: StorageError?
    /// Changes of job records that their store does not have yet.
    public var waitingRecords: UInt64 = 0
    /// Bytes that wait in the outboxes, index included, and at how many of them no more are taken.
    public var outboxBytes: UInt64 = 0
    public var outboxLimit: UInt64 = 0
    /// Bytes that are free on the file system of the outboxes.
    public var outboxFreeBytes: UInt64 = 0
    /// Jobs whose own part of the outboxes is used up, with its bytes.
    public var fullOutboxes: [JobID: UInt64] = [:]
    /// The jobs that take most, the largest first.
    public var largest: [Job] = []
}

extension JobEngine {
    /// Adds up what the stores hold, job by job, and names the `top` largest jobs.
    ///
    /// What a store that is away holds is missing, and its problem said. Throws `cancelled` in a cancelled task.
    public func storedData(top: Int) async throws(StorageError) -> StoredData {
        var data = StoredData()
        var jobs: [JobID: StoredData.Job] = [:]
        data.logs.problem =
            try await problem { () throws(StorageError) in try await addLogs(to: &data, &jobs) }
            ?? logCondition.problem
        data.metrics.problem =
            try await problem { () throws(StorageError) in try await addMetrics(to: &data, &jobs) }
            ?? metricCondition.problem
        data.recordsProblem =
            try await problem { () throws(StorageError) in try await addRecords(to: &data) }
            ?? openQuestions?.problem ?? shipper?.condition.problem
        data.waitingRecords = UInt64(shipper?.waiting ?? 0)
        let room = await outboxMonitor.room()
        data.outboxBytes = room.bytes
        data.outboxLimit = room.limit
        data.outboxFreeBytes = room.free
        data.fullOutboxes = room.full
        data.largest = Array(
            jobs.values.sorted { ($1.storedBytes, $0.id) < ($0.storedBytes, $1.id) }.prefix(max(0, top)))
        return data
    }

    /// Why a store could not be read; nil where it could.
    private func problem(
        _ body: () async throws(StorageError) -> Void
    ) async throws(StorageError) -> StorageError? {
        do throws(StorageError) {
            try await body()
            return nil
        } catch {
            if error == .cancelled { throw error }
            return error
        }
    }

    private func addRecords(to data: inout StoredData) async throws(StorageError) {
        var cursor: JobCursor?
        repeat {
            let page = try await jobStore.list(JobQuery(node: identity.id), after: cursor, limit: 1000)
            data.records += UInt64(page.records.count)
            cursor = page.next
        } while cursor != nil
    }

    private func addLogs(
        to data: inout StoredData, _ jobs: inout [JobID: StoredData.Job]
    ) async throws(StorageError) {
        var last: JobID?
        repeat {
            let page = try await logStore.jobs(after: last, limit: 1000)
            for id in page {
                if Task.isCancelled { throw .cancelled }
                do throws(StorageError) {
                    let found = try await logStore.statistics(of: id)
                    data.logs.add(
                        bytes: found.bytes, entries: found.lines, storedBytes: found.storedBytes, times: found.times)
                    jobs[id] = StoredData.Job(
                        id: id, logBytes: found.bytes, lines: found.lines, storedBytes: found.storedBytes)
                } catch .corrupt {
                    data.logs.damagedJobs += 1
                } catch .notFound {
                    // Deleted since it was listed.
                }
            }
            last = page.last
        } while last != nil
    }

    private func addMetrics(
        to data: inout StoredData, _ jobs: inout [JobID: StoredData.Job]
    ) async throws(StorageError) {
        var last: JobID?
        repeat {
            let page = try await metricStore.jobs(after: last, limit: 1000)
            for id in page {
                if Task.isCancelled { throw .cancelled }
                do throws(StorageError) {
                    let found = try await metricStore.statistics(of: id)
                    data.metrics.add(
                        bytes: 0, entries: found.samples, storedBytes: found.storedBytes, times: found.times)
                    jobs[id, default: StoredData.Job(id: id)].samples = found.samples
                    jobs[id]?.storedBytes += found.storedBytes
                } catch .corrupt {
                    data.metrics.damagedJobs += 1
                } catch .notFound {
                    // Deleted since it was listed.
                }
            }
            last = page.last
        } while last != nil
    }
}
