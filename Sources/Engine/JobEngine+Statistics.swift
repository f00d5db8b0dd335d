import Kernel
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
    /// Jobs of this node that have a record.
    public var records: UInt64 = 0
    /// Bytes that wait in the outboxes, index included.
    public var outboxBytes: UInt64 = 0
    /// The jobs that take most, the largest first.
    public var largest: [Job] = []
}

extension JobEngine {
    /// Adds up what the stores hold, job by job, and names the `top` largest jobs.
    ///
    /// Throws what listing throws, and `cancelled` in a cancelled task.
    public func storedData(top: Int) async throws(StorageError) -> StoredData {
        var data = StoredData()
        var jobs: [JobID: StoredData.Job] = [:]
        try await addLogs(to: &data, &jobs)
        try await addMetrics(to: &data, &jobs)
        var cursor: JobCursor?
        repeat {
            let page = try await jobStore.list(JobQuery(node: identity.id), after: cursor, limit: 1000)
            data.records += UInt64(page.records.count)
            cursor = page.next
        } while cursor != nil
        data.outboxBytes = outboxBytes
        data.largest = Array(
            jobs.values.sorted { ($1.storedBytes, $0.id) < ($0.storedBytes, $1.id) }.prefix(max(0, top)))
        return data
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

    private nonisolated var outboxBytes: UInt64 {
        let root = configuration.outboxDirectory
        var sum: UInt64 = 0
        for job in (try? Directory.names(in: root)) ?? [] {
            for name in (try? Directory.names(in: "\(root)/\(job)")) ?? [] {
                sum += Directory.size(ofFile: "\(root)/\(job)/\(name)")
            }
        }
        return sum
    }
}
