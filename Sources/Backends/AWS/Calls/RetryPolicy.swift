import Synchronization

/// How often and how fast a failed call is made again.
///
/// The pause before attempt n is a random part of `base`·2ⁿ (full jitter), at most `cap`. All calls of a client
/// share a budget: each retry takes from it, each success gives back, so that a service that is down is not
/// called `attempts` times by every caller.
package struct RetryPolicy: Sendable, Hashable {
    /// The most attempts, the first included.
    package var attempts: Int
    /// The first pause at most, in milliseconds, of an error that may pass at once.
    package var base: Int
    /// The first pause at most where the service asks to be called less.
    package var throttledBase: Int
    /// No pause is longer, in milliseconds.
    package var cap: Int
    /// Retries that may be made without a success; the tokens of the budget are five times as many.
    package var budget: Int

    /// A policy with the given values.
    package init(attempts: Int = 5, base: Int = 50, throttledBase: Int = 500, cap: Int = 20_000, budget: Int = 100) {
        self.attempts = attempts
        self.base = base
        self.throttledBase = throttledBase
        self.cap = cap
        self.budget = budget
    }

    /// The longest pause after that many failed attempts, in milliseconds.
    package func pause(after failures: Int, throttled: Bool) -> Int {
        let first = throttled ? throttledBase : base
        return min(cap, first << min(failures - 1, 16))
    }
}

/// The tokens that retries of one client take.
package final class RetryBudget: Sendable {
    private static let cost = 5
    private let capacity: Int
    private let tokens: Mutex<Int>

    /// A full budget.
    package init(_ policy: RetryPolicy) {
        capacity = policy.budget * Self.cost
        tokens = Mutex(capacity)
    }

    /// Takes the tokens of a retry; false where there are too few.
    package func takeRetry() -> Bool {
        tokens.withLock { tokens in
            guard tokens >= Self.cost else { return false }
            tokens -= Self.cost
            return true
        }
    }

    /// Gives back after a success: all of a retry's tokens, or one where there was no retry.
    package func noteSuccess(retried: Bool) {
        tokens.withLock { $0 = min(capacity, $0 + (retried ? Self.cost : 1)) }
    }
}
