import Kernel
import Logging
import Sandbox
import Storage

/// What shims say of jobs, and what is done where none is left to say anything.
extension JobEngine {
    /// The exit code of a child that could not build its sandbox.
    private static let sandboxFailure: Int32 = 125

    func handle(_ event: ShimFleet.Event) async {
        guard let known = openQuestions?.known else { return await handle(event) { _ in true } }
        // What a job is of which nothing is known is found out once the store answers.
        openQuestions?.keep(event)
        await handle(event) { known.contains($0) }
    }

    /// Applies what a shim said of those jobs that are meant.
    func handle(_ event: ShimFleet.Event, _ isMeant: @Sendable (JobID) -> Bool) async {
        switch event {
        case .found(let shim, let jobs): await adopt(jobs.filter { isMeant(JobID($0.job)) }, of: shim, isMeant)
        case .shim(let event): if event.job.map({ isMeant(JobID($0)) }) ?? false { apply(event) }
        case .lost(let directory, let exits):
            for record in exits where isMeant(JobID(record.job)) { conclude(record) }
            for (id, entry) in hot where entry.supervisor == directory && !entry.isLaunching && isMeant(id) {
                lose(id, reason: "supervisor lost")
            }
        }
    }

    private func apply(_ event: ShimEvent) {
        switch event {
        case .welcome: break
        case .started(let id, let pid, let time):
            hot[JobID(id)]?.job.post(.started(pid: pid, time: time))
            beginSampling(JobID(id))
        case .startFailed(let id, let step, let code):
            let reason = "sandbox: \(step): \(SystemCallError.message(for: code))"
            hot[JobID(id)]?.job.post(.startFailed(reason: reason, time: SystemClock.now()))
            abandonLog(JobID(id))
        case .exited(let record): end(record)
        case .drained(let id, _):
            // The log of a job that is not kept: a start that failed, or a deleted job.
            let job = JobID(id)
            if hot[job].map({ $0.isLogComplete }) ?? true { inBackground { await self.removeOutbox(of: job) } }
        }
    }

    /// Takes over the jobs of a living shim.
    private func adopt(_ states: [ShimJobState], of shim: Job.Shim, _ isMeant: @Sendable (JobID) -> Bool) async {
        for state in states {
            let id = JobID(state.job)
            guard let job = hot[id]?.job else {
                // Ended and recorded, or deleted: the shim may forget it.
                if state.exit == nil { shim.connection.send(.kill(state.job)) }
                shim.connection.send(.acknowledge(state.job))
                continue
            }
            hot[id]?.supervisor = shim.directory
            await job.attach(shim)
            if job.record.status.isTerminal {
                if state.exit == nil { shim.connection.send(.kill(state.job)) }
                shim.connection.send(.acknowledge(state.job))
                continue
            }
            // One that failed to start is told by an event of its own, with the reason.
            guard state.startedAt != 0 else { continue }
            job.post(.started(pid: state.pid, time: state.startedAt))
            beginSampling(id)
            if let exit = state.exit { end(exit) }
        }
        // What was on its way when an earlier connection to this shim ended.
        let known = Set(states.map { JobID($0.job) })
        for (id, entry) in hot where entry.supervisor == shim.directory && !known.contains(id) && !entry.isLaunching {
            if isMeant(id), !entry.job.record.status.isTerminal { lose(id, reason: "supervisor lost") }
        }
    }

    /// Tells a job of its exit. Its control groups stay until the shim hears that it was recorded.
    private func end(_ exit: ExitRecord) {
        guard let job = hot[JobID(exit.job)]?.job else { return }
        endSampling(job.id) { job.post(.exited(exit)) }
    }

    /// Tells a job of the exit that a dead shim recorded.
    private func conclude(_ exit: ExitRecord) {
        guard let job = hot[JobID(exit.job)]?.job, job.record.lease?.startToken == exit.token else { return }
        hot[job.id]?.hasExitRecord = true
        // The shim may have died before it said that the job runs.
        if exit.exitCode != JobEngine.sandboxFailure {
            job.post(.started(pid: job.record.pid, time: job.record.createdAt))
        }
        hot[job.id]?.supervisor = nil
        endSampling(job.id) {
            job.post(.exited(exit))
            // Nobody else removes them any more.
            guard await self.destroyGroups(of: job.id) else { return }
            await self.endLog(of: job.id)
        }
    }

    /// Kills what is left of a job and removes its control groups; false where the task was cancelled before.
    private nonisolated func destroyGroups(of id: JobID) async -> Bool {
        var backOff = BackOff()
        while !cgroups.destroy(id) {
            guard await backOff.wait() else { return false }
        }
        return true
    }

    /// A job that never ran has no log and no samples to wait for.
    func abandonLog(_ id: JobID) {
        metricsAreShipped(id)
        hot[id]?.shipping?.cancel()
        logIsComplete(id)
    }

    /// Ends a job that nobody supervises: kills what is left of it, then closes its log.
    func lose(_ id: JobID, reason: String) {
        guard let job = hot[id]?.job else { return }
        hot[id]?.supervisor = nil
        endSampling(id) {
            guard await self.destroyGroups(of: id) else { return }
            job.post(.lost(reason: reason, time: SystemClock.now()))
            await self.endLog(of: id)
        }
    }

    /// Writes the end of a log whose pump is gone, or will be when the pipes are drained.
    func endLog(of id: JobID) {
        guard hot[id]?.isLogComplete == false, hot[id]?.ending == nil else { return }
        let ending = inBackground { await self.writeLogEnd(of: id) }
        hot[id]?.ending = ending
    }

    private func writeLogEnd(of id: JobID) async {
        let cursor = OutboxCursor(root: configuration.outboxDirectory, job: id)
        var backOff = BackOff()
        while hot[id]?.isLogComplete == false, !deleted.contains(id) {
            do throws(StorageError) {
                // Held by a pump that outlived its shim until it has drained the pipes.
                if let lock = try await cursor.lock() {
                    try await writeLogEnd(of: id, cursor, lock)
                    break
                }
            } catch {
                logger.warning("a log cannot be ended", metadata: ["jobId": "\(id)", "error": "\(error)"])
            }
            guard await backOff.wait() else { return }
        }
        // What was made here is in the way of nobody: the log is in the store, or the job was deleted.
        if deleted.contains(id) || hot[id]?.isLogComplete ?? true { await removeOutbox(of: id) }
        watcher.notify(id)
    }

    /// Ends the log while nobody else touches the outbox: no pump, and no shipper that might be removing it.
    private func writeLogEnd(of id: JobID, _ cursor: OutboxCursor, _ lock: FileDescriptor) async throws(StorageError) {
        hot[id]?.shipping?.cancel()
        await hot[id]?.shipping?.value
        guard hot[id]?.isLogComplete == false else { return }
        defer { startShipping(id) }
        try await cursor.repairAndEnd(segmentBytes: Int(clamping: configuration.segmentBytes))
        withExtendedLifetime(lock) {}
    }
}

extension JobLifecycle.Event {
    /// The end that a shim recorded.
    static func exited(_ record: ExitRecord) -> JobLifecycle.Event {
        .exited(
            code: record.exitCode, signal: record.signal, ranOutOfMemory: record.ranOutOfMemory, time: record.time)
    }
}
