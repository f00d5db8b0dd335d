import Storage
import TestSupport
import Testing

@Suite struct RetentionTests {
    private static let now: Int64 = 1_000_000

    private func usage(_ number: UInt64, bytes: UInt64 = 10, latest: Int64? = Self.now) -> JobUsage {
        JobUsage(job: JobID(high: number, low: 0), storedBytes: bytes, times: latest.map { ($0 - 5)...$0 })
    }

    @Test func `without limits nothing goes`() {
        var plan = Retention(.unlimited, now: .max)
        #expect(plan.steps(for: [usage(1, bytes: .max, latest: 5)], live: []).isEmpty)
        #expect(plan.stepsForTotal().isEmpty)
    }

    @Test func `what is older than the age goes, what is exactly as old stays`() {
        var plan = Retention(RetentionPolicy(maximumAge: 100), now: Self.now)
        let usages = [usage(1, latest: Self.now - 101), usage(2, latest: Self.now - 100), usage(3, latest: nil)]
        let steps = plan.steps(for: usages, live: [])
        #expect(steps == [RetentionStep(usage: usages[0], measure: .delete, cause: .age)])
    }

    @Test func `an age that reaches before all time keeps everything`() {
        var plan = Retention(RetentionPolicy(maximumAge: .max), now: -10)
        #expect(plan.steps(for: [usage(1, latest: .min + 5)], live: []).isEmpty)
    }

    @Test func `a job that takes too much is trimmed, one that is too old as well is deleted`() {
        var plan = Retention(RetentionPolicy(maximumAge: 100, maximumJobBytes: 50), now: Self.now)
        let usages = [usage(1, bytes: 50), usage(2, bytes: 51), usage(3, bytes: 51, latest: 0)]
        let steps = plan.steps(for: usages, live: [])
        #expect(
            steps == [
                RetentionStep(usage: usages[1], measure: .trim(bytes: 50), cause: .jobBytes),
                RetentionStep(usage: usages[2], measure: .delete, cause: .age),
            ])
        #expect(steps.map(\.freedBytes) == [1, 51])
    }

    @Test func `the oldest go until the sum fits, and live jobs count`() {
        var plan = Retention(RetentionPolicy(maximumTotalBytes: 35), now: Self.now)
        let usages = [
            usage(1, latest: 400), usage(2, latest: 100), usage(3, latest: 300), usage(4, latest: 200),
            usage(5, latest: 50),
        ]
        let live: Set = [usages[4].job]
        #expect(plan.steps(for: Array(usages[..<2]), live: live).isEmpty)
        #expect(plan.steps(for: Array(usages[2...]), live: live).isEmpty)
        #expect(plan.stepsForTotal().map(\.usage) == [usages[1], usages[3]])
    }

    @Test func `a trimmed job counts with what is left of it`() {
        var plan = Retention(RetentionPolicy(maximumTotalBytes: 20, maximumJobBytes: 10), now: Self.now)
        let steps = plan.steps(for: [usage(1, bytes: 1000), usage(2, bytes: 10)], live: [])
        #expect(steps.count == 1)
        #expect(plan.stepsForTotal().isEmpty)
    }

    @Test func `live jobs are never touched, and what stays fits, whatever the numbers`() {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let policy = RetentionPolicy(
                maximumAge: Bool.random(using: &random) ? Int64.random(in: 0...1000, using: &random) : nil,
                maximumTotalBytes: Bool.random(using: &random) ? UInt64.random(in: 0...500, using: &random) : nil,
                maximumJobBytes: Bool.random(using: &random) ? UInt64.random(in: 0...60, using: &random) : nil)
            let usages = (0..<UInt64.random(in: 0...20, using: &random)).map { number in
                usage(
                    number, bytes: .random(in: 0...100, using: &random),
                    latest: Self.now - .random(in: 0...2000, using: &random))
            }
            let live = Set(usages.map(\.job).filter { _ in Int.random(in: 0..<4, using: &random) == 0 })
            var plan = Retention(policy, now: Self.now)
            let half = usages.count / 2
            var steps = plan.steps(for: Array(usages[..<half]), live: live)
            steps += plan.steps(for: Array(usages[half...]), live: live)
            steps += plan.stepsForTotal()
            #expect(!steps.contains { live.contains($0.usage.job) })
            var left = Dictionary(uniqueKeysWithValues: usages.map { ($0.job, $0) })
            for step in steps {
                switch step.measure {
                case .delete: left[step.usage.job] = nil
                case .trim(let bytes): left[step.usage.job]?.storedBytes = bytes
                }
            }
            let ended = left.values.filter { !live.contains($0.job) }
            if let age = policy.maximumAge {
                #expect(ended.allSatisfy { ($0.times?.upperBound ?? 0) >= Self.now - age })
            }
            if let limit = policy.maximumJobBytes { #expect(ended.allSatisfy { $0.storedBytes <= limit }) }
            if let limit = policy.maximumTotalBytes {
                let sum = left.values.reduce(0) { $0 + $1.storedBytes }
                #expect(sum <= limit || ended.allSatisfy { $0.storedBytes == 0 })
            }
        }
    }
}
