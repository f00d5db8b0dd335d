/// Growing pauses between attempts, with jitter; 100 ms to 10 s.
struct BackOff {
    private static let first = Duration.milliseconds(100)
    private static let longest = Duration.seconds(10)
    private var next = BackOff.first

    /// The next failure is a first one again.
    mutating func reset() { next = BackOff.first }

    /// Waits before the next attempt; false at once where the task was cancelled: then there is none.
    mutating func wait() async -> Bool {
        let pause = next * Double.random(in: 0.5...1)
        next = min(next * 2, BackOff.longest)
        do {
            try await Task.sleep(for: pause)
            return true
        } catch {
            return false
        }
    }
}

extension Task where Success == Void, Failure == Never {
    /// Waits until all of `tasks` have ended, but no longer than `limit`; those that have not go on.
    static func finish(_ tasks: [Task<Void, Never>], within limit: Duration) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream()
        Task<Void, Never> {
            for task in tasks { await task.value }
            continuation.finish()
        }
        let timer = Task<Void, Never> {
            // Cancelled where the tasks were faster.
            do { try await Task<Never, Never>.sleep(for: limit) } catch { return }
            continuation.finish()
        }
        for await _ in stream {}
        timer.cancel()
    }
}
