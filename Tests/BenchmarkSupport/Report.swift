import Foundation

/// Every figure of a run, those of the programs before this one included.
package struct Report {
    private let durability: String
    private let file: URL
    private var figures: [Figure] = []

    /// A report that goes on behind what the file at `path` holds, if it is there.
    package init(durability: String, path: String) throws {
        self.durability = durability
        file = URL(fileURLWithPath: path)
        guard let earlier = FileManager.default.contents(atPath: path) else { return }
        figures = try JSONDecoder().decode([Figure].self, from: earlier)
    }

    /// Adds figures and writes the file.
    package mutating func add(_ more: [Figure]) throws {
        figures += more
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try (encoder.encode(figures) + Data("\n".utf8)).write(to: file)
    }

    /// All figures for people to read.
    package var table: String {
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let memory = ProcessInfo.processInfo.physicalMemory >> 20
        var rows = [["name", "value", "unit", "floor", "ratio", "better"]]
        for one in figures {
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
