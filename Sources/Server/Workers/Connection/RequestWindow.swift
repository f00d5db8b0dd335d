import Storage
import Synchronization

/// Lets requests out as long as those that are not answered stay within a budget, in the order in which they came.
final class RequestWindow: Sendable {
    private struct Waiter {
        let number: UInt64
        let cost: Int
        let continuation: CheckedContinuation<StorageError?, Never>
    }

    private struct State {
        var budget: RequestBudget
        var requests = 0
        var bytes = 0
        var waiters: [Waiter] = []
        var nextNumber: UInt64 = 0

        func hasRoom(for cost: Int) -> Bool {
            requests == 0 || (requests < budget.requests && bytes + cost <= budget.bytes)
        }

        /// Those that may go now.
        mutating func admit() -> [Waiter] {
            var admitted: [Waiter] = []
            while let first = waiters.first, hasRoom(for: first.cost) {
                requests += 1
                bytes += first.cost
                admitted.append(waiters.removeFirst())
            }
            return admitted
        }
    }

    private let state: Mutex<State>

    init(_ budget: RequestBudget = RequestBudget()) {
        state = Mutex(State(budget: budget))
    }

    /// Takes what the other side allows from now on.
    func adjust(to budget: RequestBudget) {
        let admitted = state.withLock { state in
            state.budget = budget
            return state.admit()
        }
        for waiter in admitted { waiter.continuation.resume(returning: nil) }
    }

    /// Waits for room; throws `cancelled` in a cancelled task, or what `fail` says.
    func take(_ cost: Int) async throws(StorageError) {
        let number = state.withLock { state in
            state.nextNumber += 1
            return state.nextNumber
        }
        let failure = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<StorageError?, Never>) in
                let admitted = state.withLock { state in
                    state.waiters.append(Waiter(number: number, cost: cost, continuation: continuation))
                    return state.admit()
                }
                for waiter in admitted { waiter.continuation.resume(returning: nil) }
                // Cancelled before it was in the list, the handler found nothing.
                if Task.isCancelled { cancel(number) }
            }
        } onCancel: {
            cancel(number)
        }
        if let failure { throw failure }
    }

    /// Gives back what `take` took.
    func give(_ cost: Int) {
        let admitted = state.withLock { state in
            state.requests -= 1
            state.bytes -= cost
            return state.admit()
        }
        for waiter in admitted { waiter.continuation.resume(returning: nil) }
    }

    /// Turns everyone away who waits.
    func fail(_ error: StorageError) {
        let waiters = state.withLock { state in
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: error) }
    }

    private func cancel(_ number: UInt64) {
        let waiter = state.withLock { state in
            state.waiters.firstIndex { $0.number == number }.map { state.waiters.remove(at: $0) }
        }
        waiter?.continuation.resume(returning: .cancelled)
    }
}
