public import Storage

/// Samples made from a seed: the same one gives the same samples.
public struct SampleMetrics: RandomNumberGenerator {
    private var state: UInt64
    private var sequence: UInt64 = 0
    private var time: Int64 = 1_700_000_000_000_000_000

    /// A sequence of samples that `seed` determines.
    public init(seed: UInt64) {
        state = seed
    }

    /// SplitMix64.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// The next `count` samples; some share their time with the one before.
    public mutating func samples(_ count: Int) -> [MetricSample] {
        (0..<count).map { _ in sample() }
    }

    /// The next `count` samples in runs of up to `most`.
    public mutating func runs(_ count: Int, most: Int = 9) -> [[MetricSample]] {
        (0..<count).map { _ in samples(Int.random(in: 1...most, using: &self)) }
    }

    private mutating func sample() -> MetricSample {
        var points = [
            MetricPoint(
                type: .cpu,
                values: ["cpu_percent": Double(next() % 10_000) / 100, "cpu_usage_usec": Double(next() % 1 << 40)])
        ]
        if next() % 4 != 0 {
            points.append(MetricPoint(type: .memory, values: ["memory_current": Double(next() % 1 << 34), "zero": 0]))
        }
        for device in 0..<next() % 3 {
            points.append(
                MetricPoint(
                    type: .io, labels: ["device": "8:\(device)"], values: ["io_read_bytes": Double(next() >> 20)]))
        }
        defer {
            sequence += 1
            time += Int64(next() % 3) * 2_500_000_007
        }
        return MetricSample(sequence: sequence, time: time, points: points)
    }
}

extension MetricSample {
    /// A sample with one value.
    public init(_ sequence: UInt64, at time: Int64 = 1, value: Double = 1) {
        self.init(
            sequence: sequence, time: time, points: [MetricPoint(type: .cpu, values: ["cpu_percent": value])])
    }
}
