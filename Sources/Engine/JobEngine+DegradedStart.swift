import Kernel
import Logging
import Sandbox
import Storage

/// A start without the job store: the journal says which jobs memory has to hold, and the store is asked until it
/// answers.
///
/// Until then nothing is decided about what the journal does not know: what shims have of it runs on, and its control
/// groups, outboxes and uploads stay.
extension JobEngine {
    /// How long a start waits for its job store, if it can do without.
    private static let patience = Duration.seconds(5)

    /// What a start could not find out.
    struct OpenQuestions {
        /// The jobs that memory holds or held since the start.
        var known: Set<JobID>
        /// What shims said of others, in order.
        var events: [ShimFleet.Event] = []
        /// Whether a shim runs one of them, with an id range that memory does not know.
        var hasUnknownJobs = false
        /// Shims that have not answered: a task ends with the answer or the death.
        var unanswered: [Task<Void, Never>] = []
        /// Why this node must not go on, where that was the answer.
        var refusal: EngineError?

        /// What it means for the node.
        var problem: StorageError {
            if let refusal { return .refused(reason: refusal.message) }
            return .unavailable(reason: "the store of job records has not answered since the start")
        }

        /// Keeps what an event says of jobs that are not known.
        mutating func keep(_ event: ShimFleet.Event) {
            switch event {
            case .found(_, let jobs):
                let unknown = jobs.filter { !known.contains(JobID($0.job)) }
                guard !unknown.isEmpty else { return }
                if unknown.contains(where: { $0.exit == nil }) { hasUnknownJobs = true }
            case .shim(let event): guard let job = event.job, !known.contains(JobID(job)) else { return }
            case .lost: break
            }
            events.append(event)
        }
    }

    /// Throws where what the store has not answered forbids new jobs.
    func checkOpenQuestions() throws(EngineError) {
        guard let openQuestions else { return }
        if let refusal = openQuestions.refusal { throw refusal }
        guard openQuestions.hasUnknownJobs, configuration.usesUserNamespaces else { return }
        throw EngineError(
            .unavailable, "a job of this node runs whose id range only the store of job records knows, which is away")
    }

    /// Throws `unavailable` where it is not known yet what the node has of a job that memory does not hold.
    func checkIsKnown(_ id: JobID) throws(EngineError) {
        guard openQuestions != nil, hot[id] == nil else { return }
        throw EngineError(.unavailable, "job \(id): the store of job records has not answered since the start")
    }

    /// Asks the store at a start; where it does not answer and need not, the question stays open.
    func addStoredRecordsAtStart(to found: inout FoundRecords) async throws(EngineError) {
        guard configuration.startsDegraded else { return try await addStoredRecords(to: &found) }
        let journaled = found
        let (stream, continuation) = AsyncStream<Result<FoundRecords, EngineError>>.makeStream()
        let asking = Task {
            var found = journaled
            do throws(EngineError) {
                try await self.addStoredRecords(to: &found)
                continuation.yield(.success(found))
            } catch {
                continuation.yield(.failure(error))
            }
            continuation.finish()
        }
        await Task.finish([asking], within: JobEngine.patience)
        asking.cancel()
        continuation.finish()
        var answer: Result<FoundRecords, EngineError>?
        for await result in stream { answer = result }
        switch answer {
        case .success(let complete):
            found = complete
            return
        case .failure(let error) where error.code != .unavailable: throw error
        case .failure(let error): reportDegraded("\(error)")
        case nil: reportDegraded("it does not answer")
        }
        openQuestions = OpenQuestions(known: Set(found.newest.keys).union(found.deleted))
    }

    private nonisolated func reportDegraded(_ reason: String) {
        logger.error(
            "starting without the store of job records: jobs run, and what it alone knows is unavailable",
            metadata: ["error": "\(reason)"])
    }

    /// Asks the store until it answers, and takes over what memory lacks.
    func askAgain(_ left: Leftovers) async {
        var backOff = BackOff()
        while await backOff.wait() {
            do throws(EngineError) {
                var found = FoundRecords()
                try await addStoredRecords(to: &found, except: openQuestions?.known ?? [])
                try await takeOver(found, left)
                return
            } catch {
                guard error.code == .failedPrecondition else { continue }
                // Jobs that run are served to their end.
                openQuestions?.refusal = error
                logger.error("no jobs are taken any more", metadata: ["error": "\(error)"])
                return
            }
        }
    }

    private func takeOver(_ found: FoundRecords, _ left: Leftovers) async throws(EngineError) {
        var found = found
        // What memory holds is newer, and what it held has ended: of both the journal had every version.
        let held = (openQuestions?.known ?? []).union(hot.keys)
        for id in held { found.newest[id] = nil }
        // One that was accepted while the store was asked has an outbox and no stored record.
        let strayOutboxes = found.strayOutboxes.filter { !held.contains($0) }
        try await admit(found)
        // More may be said meanwhile.
        while let events = openQuestions?.events, let event = events.first, let known = openQuestions?.known {
            openQuestions?.events.removeFirst()
            await handle(event) { !known.contains($0) }
        }
        guard let answered = openQuestions else { return }
        openQuestions = nil
        let takenOver = hot.keys.filter { !answered.known.contains($0) }
        logger.info(
            "the store of job records has answered",
            metadata: ["jobsTakenOver": "\(takenOver.count)", "jobsInMemory": "\(hot.count)"])
        settle(takenOver, after: answered.unanswered)
        await sweep(left, strayOutboxes: strayOutboxes)
    }
}
