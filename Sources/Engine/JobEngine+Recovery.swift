import Kernel
import Sandbox
import Storage

/// What a daemon finds when it starts: store, journal, outboxes and shims together are the truth.
extension JobEngine {
    func recover(fleet: ShimFleet, shipper: StateShipper) async throws(EngineError) {
        let recovered = await journal.takeRecovered()
        var newest: [JobID: JobRecord] = [:]
        let deleted = Set(recovered.filter(\.entry.isDeletion).map(\.entry.job))
        for item in recovered {
            if case .record(let record) = item.entry {
                // Stores refuse what is below a tombstone.
                if deleted.contains(record.id) {
                    await journal.shipped([item])
                    continue
                }
                if newest[record.id].map({ $0.version < record.version }) ?? true { newest[record.id] = record }
            }
            shipper.enqueue(item)
        }
        let stored = try await storedLiveRecords()
        for record in stored where newest[record.id].map({ $0.version < record.version }) ?? true {
            newest[record.id] = record
        }
        for id in deleted { newest[id] = nil }
        try await addUnshippedLogs(&newest, deleted)
        let (living, exits) = await fleet.adopt()
        let storedVersions = Dictionary(stored.map { ($0.id, $0.version) }, uniquingKeysWith: max)
        for record in newest.values {
            let hasOutbox = Directory.exists("\(configuration.outboxDirectory)/\(record.id)")
            try admit(
                record, storedVersion: storedVersions[record.id] ?? 0,
                isLogComplete: record.status.isTerminal && !hasOutbox)
        }
        for found in living { await adopt(found) }
        await settle(exits: exits, supervised: Set(living.flatMap { $0.jobs.map { JobID($0.job) } }))
        sweep()
        await journal.removeShipped()
    }

    /// The records of this node that the store does not show as ended.
    private func storedLiveRecords() async throws(EngineError) -> [JobRecord] {
        let query = JobQuery(node: identity.id, statuses: Set(JobStatus.allCases.filter { !$0.isTerminal }))
        var records: [JobRecord] = []
        var cursor: JobCursor?
        repeat {
            do throws(StorageError) {
                let page = try await jobStore.list(query, after: cursor, limit: 500)
                records += page.records
                cursor = page.next
            } catch {
                throw EngineError(.unavailable, "the job store cannot be read: \(error)")
            }
        } while cursor != nil
        guard records.allSatisfy({ $0.node == identity }) else {
            throw EngineError(
                .failedPrecondition,
                "the job store has jobs of another data directory with the node id \(identity.id): a copied node "
                    + "needs an id of its own (server.nodeId)")
        }
        return records
    }

    /// Ended jobs whose outbox was not shipped to its end.
    private func addUnshippedLogs(_ newest: inout [JobID: JobRecord], _ deleted: Set<JobID>) async throws(EngineError) {
        for name in (try? Directory.names(in: configuration.outboxDirectory)) ?? [] {
            guard let id = JobID(name), newest[id] == nil else { continue }
            do throws(StorageError) {
                if !deleted.contains(id) { newest[id] = try await jobStore.get(id) }
            } catch {
                guard error == .notFound else { throw EngineError(.unavailable, "the job store cannot be read: \(error)") }
                // No record is older than its outbox: the job was deleted.
                try? await OutboxCursor(root: configuration.outboxDirectory, job: id).removeAll()
            }
        }
    }

    /// Takes over the jobs of a living shim.
    private func adopt(_ found: ShimFleet.Found) async {
        for state in found.jobs {
            guard let job = hot[JobID(state.job)]?.job else {
                // Ended and recorded, or deleted: the shim may forget it.
                if state.exit == nil { found.shim.connection.send(.kill(state.job)) }
                found.shim.connection.send(.acknowledge(state.job))
                continue
            }
            await job.attach(found.shim)
            await job.setGrace(configuration.stopGrace)
            if job.record.status.isTerminal {
                found.shim.connection.send(.acknowledge(state.job))
                continue
            }
            if state.startedAt != 0 { job.post(.started(pid: state.pid, time: state.startedAt)) }
            if let exit = state.exit {
                job.post(
                    .exited(
                        code: exit.exitCode, signal: exit.signal, ranOutOfMemory: exit.ranOutOfMemory, time: exit.time))
            }
            await job.adopt()
        }
    }

    /// Decides about the jobs that no living shim has.
    private func settle(exits: [ExitRecord], supervised: Set<JobID>) async {
        let boot = DataDirectory.bootID()
        let recorded = Dictionary(exits.map { (JobID($0.job), $0) }, uniquingKeysWith: { $1 })
        for (id, entry) in hot where !supervised.contains(id) {
            let record = entry.job.record
            if record.status.isTerminal {
                // Its pump is gone too, or will be when the pipes are drained.
                if !entry.isLogComplete { Task { await self.endLog(of: id) } }
                continue
            }
            await entry.job.setGrace(configuration.stopGrace)
            if let exit = recorded[id], exit.token == record.lease?.startToken {
                entry.job.post(.started(pid: record.pid, time: record.createdAt))
                entry.job.post(
                    .exited(
                        code: exit.exitCode, signal: exit.signal, ranOutOfMemory: exit.ranOutOfMemory, time: exit.time))
                Task { await self.endLog(of: id) }
            } else if record.lease?.bootID != boot {
                await lose(entry.job, reason: "node restarted")
            } else if record.status == .running {
                await lose(entry.job, reason: "supervisor lost")
            } else {
                await lose(entry.job, reason: "daemon restarted before start")
            }
        }
    }

    /// Removes what belongs to no job: control groups and staging areas.
    private func sweep() {
        for id in cgroups.existing() where hot[id] == nil { _ = cgroups.destroy(id) }
        for name in (try? Directory.names(in: "\(configuration.dataDirectory)/staging")) ?? [] {
            if JobID(name).map({ hot[$0]?.job.record.status.isTerminal ?? true }) ?? true {
                try? Directory.removeTree("\(configuration.dataDirectory)/staging/\(name)")
            }
        }
    }
}
