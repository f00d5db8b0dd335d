import Kernel
import Logging
import Sandbox
import Storage

/// What a daemon finds when it starts: store, journal, outboxes and shims together are the truth.
extension JobEngine {
    /// What journal, store and outboxes say.
    struct FoundRecords {
        /// The newest record of each job that memory has to hold.
        var newest: [JobID: JobRecord] = [:]
        /// The versions of them that the job store has.
        var storedVersions: [JobID: UInt64] = [:]
        /// Jobs whose newest record is not in the journal.
        var notJournaled: Set<JobID> = []
        /// Jobs with a tombstone that a store may not know.
        var deleted: Set<JobID> = []
        /// Outboxes of jobs that no store and no journal knows: those of deleted jobs.
        var strayOutboxes: [JobID] = []
    }

    /// What the journal says.
    func journaledRecords() async -> FoundRecords {
        var found = FoundRecords()
        for item in await journal.recovered {
            switch item.entry {
            case .record(let record):
                if found.newest[record.id].map({ $0.version < record.version }) ?? true {
                    found.newest[record.id] = record
                }
            case .deleted(let id, _): found.deleted.insert(id)
            }
        }
        for id in found.deleted { found.newest[id] = nil }
        return found
    }

    /// Adds what the store says of this node's jobs that have not ended, and of those with an outbox, but of none of
    /// `known`.
    ///
    /// Throws `unavailable` where the store cannot say it, `failedPrecondition` where it is another node's.
    func addStoredRecords(to found: inout FoundRecords, except known: Set<JobID> = []) async throws(EngineError) {
        for record in try await storedLiveRecords() where !found.deleted.contains(record.id) {
            add(record, to: &found)
        }
        try await addUnshippedLogs(to: &found, except: known)
    }

    private func add(_ record: JobRecord, to found: inout FoundRecords) {
        found.storedVersions[record.id] = record.version
        guard found.newest[record.id].map({ $0.version < record.version }) ?? true else { return }
        found.newest[record.id] = record
        found.notJournaled.insert(record.id)
    }

    func recover(_ found: FoundRecords, fleet: ShimFleet, shipper: StateShipper) async throws(EngineError) {
        deleted = found.deleted
        for item in await journal.recovered {
            if !item.entry.isDeletion, deleted.contains(item.entry.job) {
                // Stores refuse what is below a tombstone.
                await journal.shipped([item])
            } else {
                shipper.enqueue(item)
            }
        }
        await journal.forgetRecovered()
        // Before any shim is asked: each has something to say of them.
        try await admit(found)
        let unanswered = try await fleet.adopt()
        openQuestions?.unanswered = unanswered
        settle(Array(found.newest.keys), after: unanswered)
        await journal.removeShipped()
    }

    /// Takes what was found into memory.
    func admit(_ found: FoundRecords) async throws(EngineError) {
        for record in found.newest.values {
            let hasMetrics = try await recoverMetrics(of: record)
            if found.notJournaled.contains(record.id) { await keep(record) }
            try admit(
                record, storedVersion: found.storedVersions[record.id] ?? 0,
                isLogComplete: record.status.isTerminal && !hasOutbox(record.id),
                awaitsMetrics: hasMetrics || !record.status.isTerminal)
        }
    }

    /// Writes to the journal what the store alone had, so that a daemon can start without the store.
    private func keep(_ record: JobRecord) async {
        do throws(EngineError) {
            let entry = try await journal.append(.record(record), durability: record.specification.durability)
            // The store ignores a version that it has.
            shipper?.enqueue(entry)
        } catch {
            logger.warning(
                "a record is in the store alone", metadata: ["jobId": "\(record.id)", "error": "\(error)"])
        }
    }

    /// Decides about the jobs that no shim has, once the last shim answered or died.
    func settle(_ jobs: [JobID], after unanswered: [Task<Void, Never>]) {
        guard !unanswered.isEmpty else { return settle(jobs) }
        inBackground {
            for shim in unanswered { await shim.value }
            await self.settle(jobs)
        }
    }

    /// Takes over the samples that wait for their store; whether there are some.
    private func recoverMetrics(of record: JobRecord) async throws(EngineError) -> Bool {
        do throws(SystemCallError) {
            let found = try await metricOutbox.recover(record.id, durability: record.specification.durability)
            // The last sample is taken before an end is recorded.
            if found, record.status.isTerminal { await metricOutbox.end(record.id) }
            return found
        } catch {
            throw EngineError(.unavailable, "the samples of job \(record.id) cannot be read: \(error)")
        }
    }

    /// The records of this node that the store does not show as ended.
    private func storedLiveRecords() async throws(EngineError) -> [JobRecord] {
        let live = Set(JobStatus.allCases.filter { !$0.isTerminal })
        var records: [JobRecord] = []
        var cursor: JobCursor?
        do throws(StorageError) {
            // The first record of a node gave it its incarnation; any will do.
            try checkIncarnation(try await jobStore.list(JobQuery(node: identity.id), after: nil, limit: 1).records)
            repeat {
                let page = try await jobStore.list(
                    JobQuery(node: identity.id, statuses: live), after: cursor, limit: 500)
                records += page.records
                cursor = page.next
            } while cursor != nil
        } catch {
            if case .refused(let reason) = error { throw EngineError(.failedPrecondition, reason) }
            throw EngineError(.unavailable, "the job store cannot be read: \(error)")
        }
        return records
    }

    private func checkIncarnation(_ records: [JobRecord]) throws(StorageError) {
        guard records.allSatisfy({ $0.node == identity }) else {
            throw .refused(
                reason:
                    "the job store has jobs of another data directory with the node id \(identity.id): a copied node "
                    + "needs an id of its own (server.nodeId)")
        }
    }

    /// Ended jobs whose outbox was not shipped to its end.
    private func addUnshippedLogs(
        to found: inout FoundRecords, except known: Set<JobID>
    ) async throws(EngineError) {
        let names: [String]
        do throws(SystemCallError) {
            names = try Directory.names(in: configuration.outboxDirectory)
        } catch {
            throw EngineError(.unavailable, "the outboxes cannot be read: \(error)")
        }
        for id in names.compactMap({ JobID($0) })
        where found.newest[id] == nil && !found.deleted.contains(id) && !known.contains(id) {
            do throws(StorageError) {
                add(try await jobStore.get(id), to: &found)
            } catch {
                guard error == .notFound else {
                    throw EngineError(.unavailable, "the job store cannot be read: \(error)")
                }
                // No outbox is older than its record: the job was deleted.
                found.strayOutboxes.append(id)
            }
        }
    }

    private func hasOutbox(_ id: JobID) -> Bool { Directory.exists("\(configuration.outboxDirectory)/\(id)") }

    /// Decides about the recovered jobs that no living shim has.
    private func settle(_ recovered: [JobID]) {
        let grouped = Set(cgroups.existing())
        for id in recovered {
            guard let entry = hot[id], entry.supervisor == nil else { continue }
            let record = entry.job.record
            if record.status.isTerminal {
                // Its pump is gone too, or will be when the pipes are drained.
                endLog(of: id)
            } else if record.lease?.bootID != bootID {
                lose(id, reason: "node restarted")
            } else if record.status == .running || entry.hasExitRecord || grouped.contains(id) || hasOutbox(id) {
                lose(id, reason: "supervisor lost")
            } else if let base = record.lease?.idRange, ranges.isShared(base) {
                // Given to another one while the store did not say that this one has it.
                entry.job.post(.startFailed(reason: "daemon restarted before start", time: SystemClock.now()))
                abandonLog(id)
            } else {
                // No shim ever had it: a job's group and its outbox are made before its process.
                hot[id]?.isLaunching = true
                hot[id]?.isOurs = true
                inBackground { await self.launch(entry.job) }
            }
        }
    }

    /// What a start finds that may belong to no job.
    struct Leftovers {
        var groups: [JobID] = []
        var staged: [String] = []
    }

    /// What there is before new jobs add to it.
    func findLeftovers() -> Leftovers {
        var left = Leftovers(groups: cgroups.existing())
        do throws(SystemCallError) {
            left.staged = try Directory.names(in: "\(configuration.dataDirectory)/staging")
        } catch {
            logger.warning("staged uploads remain", metadata: ["error": "\(error)"])
        }
        return left
    }

    /// Removes what belongs to no job.
    func sweep(_ left: Leftovers, strayOutboxes: [JobID]) async {
        inBackground { await self.removeUnused() }
        for id in left.groups where hot[id] == nil {
            inBackground {
                var backOff = BackOff()
                while !self.cgroups.destroy(id) {
                    guard await backOff.wait() else { return }
                }
            }
        }
        for name in left.staged where JobID(name).map({ hot[$0]?.job.record.status.isTerminal ?? true }) ?? true {
            do throws(SystemCallError) {
                try Directory.removeTree("\(configuration.dataDirectory)/staging/\(name)")
            } catch {
                logger.warning("staged uploads remain", metadata: ["error": "\(error)"])
            }
        }
        for id in strayOutboxes { await removeOutbox(of: id) }
    }
}
