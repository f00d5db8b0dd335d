import GRPCCore

/// A server that serves, and can be left before it ended.
///
/// A connection whose client reads nothing is closed by its transport after seconds, for which nobody waits who is told
/// to stop.
struct Serving<Transport: ServerTransport>: Sendable {
    private let task: Task<Void, Never>
    private let outcome: AsyncStream<(any Error)?>

    /// Begins to serve.
    init(_ server: GRPCServer<Transport>) {
        let (outcome, told) = AsyncStream<(any Error)?>.makeStream()
        self.outcome = outcome
        task = Task {
            do {
                try await server.serve()
                told.yield(nil)
            } catch {
                told.yield(error)
            }
            told.finish()
        }
    }

    /// Waits until the server ended, for one caller; throws why it did, or `CancellationError`.
    func end() async throws {
        for await failure in outcome {
            if let failure { throw failure }
            return
        }
        throw CancellationError()
    }

    /// Tells the server to end at once and does not wait for it.
    func abandon() { task.cancel() }
}
