import Foundation

/// One figure.
struct Measurement: Codable, Sendable {
    /// Which way is an improvement.
    enum Better: String, Codable, Sendable {
        case lower, higher
    }

    let name: String
    let value: Double
    let unit: String
    /// What the same costs without Joblet; nil where there is no such thing.
    let floor: Double?
    let ratio: Double?
    let better: Better

    init(_ name: String, _ value: Double, _ unit: String, floor: Double? = nil, better: Better) {
        self.name = name
        self.value = Measurement.rounded(value)
        self.unit = unit
        self.floor = floor.map(Measurement.rounded)
        ratio = floor.map { $0 == 0 ? 0 : Measurement.rounded(value / $0) }
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
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(value, forKey: .value)
        try container.encode(unit, forKey: .unit)
        try container.encode(floor, forKey: .floor)
        try container.encode(ratio, forKey: .ratio)
        try container.encode(better, forKey: .better)
    }
}

/// Every figure of a run.
struct Report {
    let durability: String
    var measurements: [Measurement] = []

    var json: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            return try encoder.encode(measurements) + Data("\n".utf8)
        }
    }

    var table: String {
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let memory = ProcessInfo.processInfo.physicalMemory >> 20
        var rows = [["name", "value", "unit", "floor", "ratio", "better"]]
        for one in measurements {
            rows.append([
                one.name, Report.text(one.value), one.unit, one.floor.map(Report.text) ?? "-",
                one.ratio.map(Report.text) ?? "-", one.better.rawValue,
            ])
        }
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.enumerated().map { column, text in
                let space = String(repeating: " ", count: widths[column] - text.count)
                return column == 0 || column == 2 || column == 5 ? text + space : space + text
            }.joined(separator: "  ")
        }
        return "durability: \(durability), \(processors) processors, \(memory) MB of memory\n"
            + lines.joined(separator: "\n") + "\n"
    }

    private static func text(_ value: Double) -> String {
        value.rounded() == value ? String(Int(value)) : String(format: "%.2f", value)
    }
}

extension [Double] {
    /// The median; what half of the runs stay at or below.
    var median: Double {
        guard !isEmpty else { return 0 }
        return sorted()[(count - 1) / 2]
    }
}
