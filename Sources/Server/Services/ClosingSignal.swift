import GRPCCore
import Synchronization

/// Ends streams that would last as long as their jobs when the server is told to stop.
final class ClosingSignal: Sendable {
    private struct State {
        var isClosing = false
        var next: UInt64 = 0
        var waiters: [UInt64: AsyncStream<Void>.Continuation] = [:]
    }

    private let state = Mutex(State())

    /// Ends every stream.
    func close() {
        let waiters = state.withLock { state in
            state.isClosing = true
            defer { state.waiters = [:] }
            return state.waiters.values
        }
        for waiter in waiters { waiter.finish() }
    }

    /// Runs `body`; throws `unavailable` in its place when the server stops, `cancelled` when the client has gone.
    ///
    /// gRPC tells of a client that has gone, but lets the task that serves it go on.
    func ending(_ context: ServerContext, _ body: @escaping @Sendable () async throws -> Void) async throws {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        let number = state.withLock { state in
            state.next += 1
            if state.isClosing { continuation.finish() } else { state.waiters[state.next] = continuation }
            return state.next
        }
        defer { state.withLock { $0.waiters[number] = nil } }
        let isDone = try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                for await _ in stream {}
                return false
            }
            group.addTask {
                try await context.cancellation.cancelled
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
        guard !isDone else { return }
        // A server that stops cancels its calls too.
        throw state.withLock { $0.isClosing }
            ? RPCError(code: .unavailable, message: "the server is shutting down")
            : RPCError(code: .cancelled, message: "the client has gone")
    }
}
