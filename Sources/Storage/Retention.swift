/// How long and how much a store keeps; nil means without limit.
public struct RetentionPolicy: Sendable, Hashable {
    /// The age, in nanoseconds since its latest entry, from which on a job's data is dropped.
    public var maximumAge: Int64?
    /// Bytes that all jobs may take: beyond them the jobs whose latest entries are oldest go first.
    public var maximumTotalBytes: UInt64?
    /// Bytes that one job may take: beyond them its oldest part goes.
    public var maximumJobBytes: UInt64?

    /// A policy with the given limits.
    public init(maximumAge: Int64? = nil, maximumTotalBytes: UInt64? = nil, maximumJobBytes: UInt64? = nil) {
        self.maximumAge = maximumAge
        self.maximumTotalBytes = maximumTotalBytes
        self.maximumJobBytes = maximumJobBytes
    }

    /// Everything is kept for ever.
    public static let unlimited = RetentionPolicy()
}

/// Something that a policy asks to be done to a job's data.
public struct RetentionStep: Sendable, Hashable {
    /// What is done.
    public enum Measure: Sendable, Hashable {
        /// All of the job's data goes.
        case delete
        /// The oldest part goes until the rest takes at most that many bytes.
        case trim(bytes: UInt64)
    }

    /// Which limit asks for it.
    public enum Cause: String, Sendable, Hashable {
        case age
        case totalBytes
        case jobBytes
    }

    /// The job, and what it takes now.
    public var usage: JobUsage
    /// What is done.
    public var measure: Measure
    /// Why.
    public var cause: Cause

    /// A step.
    public init(usage: JobUsage, measure: Measure, cause: Cause) {
        self.usage = usage
        self.measure = measure
        self.cause = cause
    }

    /// Bytes that the step is expected to free.
    public var freedBytes: UInt64 {
        switch measure {
        case .delete: usage.storedBytes
        case .trim(let bytes): usage.storedBytes - min(bytes, usage.storedBytes)
        }
    }
}

/// Decides what goes, from what a store says of its jobs page by page; does nothing itself.
///
/// A job whose times are not known is never too old, and the first to go where all take too much.
public struct Retention: Sendable {
    private let policy: RetentionPolicy
    private let now: Int64
    /// The ended jobs that stayed so far, and what all that stayed take; kept only where their sum is limited.
    private var kept: [JobUsage] = []
    private var keptBytes: UInt64 = 0

    /// A plan by `policy` at the time `now`, in nanoseconds since 1970.
    public init(_ policy: RetentionPolicy, now: Int64) {
        self.policy = policy
        self.now = now
    }

    /// What age and size of the jobs of one page ask for; those in `live` are counted and never touched.
    public mutating func steps(for usages: [JobUsage], live: Set<JobID>) -> [RetentionStep] {
        var steps: [RetentionStep] = []
        for usage in usages {
            var rest = usage
            if !live.contains(usage.job), let step = step(for: usage) {
                steps.append(step)
                if step.measure == .delete { continue }
                rest.storedBytes -= step.freedBytes
            }
            guard policy.maximumTotalBytes != nil else { continue }
            keptBytes += rest.storedBytes
            if !live.contains(usage.job) { kept.append(rest) }
        }
        return steps
    }

    /// What the sum of all jobs asks for, once every page was seen: the oldest go until the rest fits.
    public func stepsForTotal() -> [RetentionStep] {
        guard let limit = policy.maximumTotalBytes, keptBytes > limit else { return [] }
        let byAge = kept.sorted { left, right in
            (left.times?.upperBound ?? .min, left.job) < (right.times?.upperBound ?? .min, right.job)
        }
        var excess = keptBytes - limit
        var steps: [RetentionStep] = []
        for usage in byAge where excess > 0 && usage.storedBytes > 0 {
            steps.append(RetentionStep(usage: usage, measure: .delete, cause: .totalBytes))
            excess -= min(excess, usage.storedBytes)
        }
        return steps
    }

    private func step(for usage: JobUsage) -> RetentionStep? {
        if let age = policy.maximumAge, let latest = usage.times?.upperBound {
            let (oldest, isBeforeTime) = now.subtractingReportingOverflow(age)
            if !isBeforeTime, latest < oldest { return RetentionStep(usage: usage, measure: .delete, cause: .age) }
        }
        if let limit = policy.maximumJobBytes, usage.storedBytes > limit {
            return RetentionStep(usage: usage, measure: .trim(bytes: limit), cause: .jobBytes)
        }
        return nil
    }
}
