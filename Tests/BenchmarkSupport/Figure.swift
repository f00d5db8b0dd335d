import Foundation

/// One figure.
package struct Figure: Codable, Sendable {
    /// Which way is an improvement.
    package enum Better: String, Codable, Sendable {
        case lower, higher
    }

    /// What was measured, in the form `group.what_unit`.
    package let name: String
    /// The figure, in `unit`.
    package let value: Double
    package let unit: String
    /// What the same costs without Joblet; nil where there is no such thing.
    package let floor: Double?
    /// The value as a multiple of the floor.
    package let ratio: Double?
    package let better: Better

    /// A figure, rounded to what a run repeats.
    package init(_ name: String, _ value: Double, _ unit: String, floor: Double? = nil, better: Better) {
        self.name = name
        self.value = Figure.rounded(value)
        self.unit = unit
        self.floor = floor.map(Figure.rounded)
        ratio = floor.map { $0 == 0 ? 0 : Figure.rounded(value / $0) }
        self.better = better
    }

    /// Four digits are more than a run repeats, except for counts.
    private static func rounded(_ value: Double) -> Double {
        value.rounded() == value ? value : (value * 1000).rounded() / 1000
    }

    private enum CodingKeys: String, CodingKey {
        case name, value, unit, floor, ratio, better
    }

    /// With `null` where there is no floor, so that every element has the same keys.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(value, forKey: .value)
        try container.encode(unit, forKey: .unit)
        try container.encode(floor, forKey: .floor)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(better, forKey: .better)
    }
}

extension [Double] {
    /// The median; what half of the runs stay at or below.
    package var median: Double { percentile(50) }

    /// What so many percent of the runs stay at or below.
    package func percentile(_ percent: Int) -> Double {
        guard !isEmpty else { return 0 }
        return sorted()[(count - 1) * percent / 100]
    }
}

extension Duration {
    /// The duration in milliseconds.
    package var milliseconds: Double { self / .milliseconds(1) }
    /// The duration in seconds.
    package var seconds: Double { self / .seconds(1) }
}
