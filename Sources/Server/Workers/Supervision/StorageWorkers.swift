import Engine
public import Logging
public import Storage

/// The two storage workers of a daemon: their processes, and the stores that they offer.
public final class StorageWorkers: Sendable {
    /// How often a worker that works is asked whether it still does.
    private static let checkInterval = Duration.seconds(10)
    /// How long a start waits for the workers.
    private static let startTime = Duration.seconds(30)

    private struct Worker: Sendable {
        let process: WorkerProcess
        let client: WorkerClient
    }

    private let persist: Worker
    private let state: Worker
    private let startsDegraded: Bool
    private let logger: Logger

    /// The workers that `configuration` describes; `programs` is the directory of `persist` and `state`, `arguments`
    /// are what tells them where the configuration is.
    public init(_ configuration: Configuration, programs: String, arguments: [String], logger: Logger) {
        func worker(_ name: String, _ socket: String) -> Worker {
            Worker(
                process: WorkerProcess(program: "\(programs)/\(name)", arguments: arguments, logger: logger),
                client: WorkerClient(
                    socket: socket, name: name, frameLimit: configuration.storage.workers.maxMessageBytes))
        }
        persist = worker("persist", configuration.persistSocket)
        state = worker("state", configuration.stateSocket)
        startsDegraded = configuration.storage.startDegraded
        self.logger = logger
    }

    /// The store of the jobs' output, in `persist`.
    public var logs: any LogStore { persist.client.logs }

    /// The store of the jobs' samples, in `persist`.
    public var metrics: any MetricStore { persist.client.metrics }

    /// The store of job records, in `state`.
    public var jobs: any JobStore { state.client.jobs }

    /// Starts the processes and waits until their stores answer.
    ///
    /// Throws `failedPrecondition` with the reason where one does not within half a minute, or ends by itself; with
    /// `storage.startDegraded` none is waited for.
    func start() async throws(EngineError) {
        persist.process.start()
        state.process.start()
        guard !startsDegraded else { return }
        for worker in [state, persist] { try await wait(for: worker) }
    }

    private func wait(for worker: Worker) async throws(EngineError) {
        let start = ContinuousClock.now
        var isReported = false
        while true {
            do throws(StorageError) {
                try await worker.client.check()
                worker.process.works()
                return
            } catch {
                if Task.isCancelled { throw EngineError(.unavailable, "cancelled") }
                let reason = worker.process.failure ?? "\(error)"
                let isTooLate = ContinuousClock.now - start > StorageWorkers.startTime
                if worker.process.failure != nil || isTooLate {
                    throw EngineError(
                        .failedPrecondition, "the storage worker \(worker.process.name) does not work: \(reason)")
                }
                if !isReported {
                    logger.warning(
                        "waiting for a storage worker",
                        metadata: ["worker": "\(worker.process.name)", "error": "\(reason)"])
                }
                isReported = true
                // Cancelled where the daemon is told to end meanwhile.
                do { try await Task.sleep(for: .milliseconds(100)) } catch { continue }
            }
        }
    }

    /// Asks the workers now and then whether their backends work, and logs when that changes; until it is cancelled.
    func watch() async {
        await withTaskGroup(of: Void.self) { group in
            for worker in [persist, state] { group.addTask { await self.watch(worker) } }
        }
    }

    private func watch(_ worker: Worker) async {
        var worked = true
        while true {
            do throws(StorageError) {
                try await worker.client.check()
                worker.process.works()
                if !worked {
                    logger.info("a storage worker works again", metadata: ["worker": "\(worker.process.name)"])
                }
                worked = true
            } catch {
                if Task.isCancelled { return }
                if worked {
                    logger.error(
                        "a storage worker does not work",
                        metadata: [
                            "worker": "\(worker.process.name)", "error": "\(worker.process.failure ?? "\(error)")",
                        ])
                }
                worked = false
            }
            // Cancelled with the daemon.
            do {
                try await Task.sleep(for: worked ? StorageWorkers.checkInterval : .milliseconds(500))
            } catch { return }
        }
    }

    /// Ends the connections and the processes.
    func stop() async {
        await withTaskGroup(of: Void.self) { group in
            for worker in [persist, state] {
                group.addTask {
                    await worker.client.close()
                    await worker.process.stop()
                }
            }
        }
    }
}
