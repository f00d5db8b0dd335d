import Synchronization

/// Carries the failure of a closure past a library that would replace it.
final class FailureBox: Sendable {
    private let failure = Mutex<Failure?>(nil)

    var value: Failure? { failure.withLock { $0 } }

    func set(_ value: Failure) {
        failure.withLock { $0 = value }
    }
}
