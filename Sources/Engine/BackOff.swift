/// Growing pauses between attempts, with jitter; 100 ms to 10 s.
struct BackOff {
    private static let first = Duration.milliseconds(100)
    private static let longest = Duration.seconds(10)
    private var next = BackOff.first

    /// The next failure is a first one again.
    mutating func reset() { next = BackOff.first }

    /// Waits before the next attempt; ends early if the task is cancelled.
    mutating func wait() async {
        let pause = next * Double.random(in: 0.5...1)
        next = min(next * 2, BackOff.longest)
        try? await Task.sleep(for: pause)
    }
}
