import BenchmarkSupport
import Foundation
import Glibc

/// A process as /proc shows it.
struct ProcessFiles: Sendable {
    let pid: Int32

    /// Every process whose command line has all these words.
    static func find(_ words: [String]) throws -> [ProcessFiles] {
        try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { Int32($0) }.filter { pid in
            // A process may have ended since it was listed.
            guard let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") else { return false }
            let text = String(decoding: line, as: UTF8.self)
            return words.allSatisfy(text.contains)
        }.map(ProcessFiles.init(pid:))
    }

    /// The processes that it started and that are still there.
    func children() throws -> [ProcessFiles] {
        try text("task/\(pid)/children").split(separator: " ").compactMap { Int32($0) }.map(ProcessFiles.init(pid:))
    }

    /// MB that it takes: its own pages and its share of those that others have too.
    func proportionalMegabytes() throws -> Double {
        try kilobytes("Pss:", in: "smaps_rollup") / 1024
    }

    /// MB that were resident at most since `forgetPeak`.
    func peakMegabytes() throws -> Double {
        try kilobytes("VmHWM:", in: "status") / 1024
    }

    /// Begins a new peak.
    func forgetPeak() throws {
        try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/\(pid)/clear_refs"))
    }

    /// Seconds of CPU time that its threads took.
    func processorSeconds() throws -> Double {
        // The name in parentheses may hold anything; what follows it does not.
        let fields = try text("stat").split(separator: ")").last.map { $0.split(separator: " ") } ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    private func kilobytes(_ key: String, in file: String) throws -> Double {
        let line = try text(file).split(separator: "\n").first { $0.hasPrefix(key) }
        guard let value = line?.split(separator: " ").dropFirst().first.flatMap({ Double($0) }) else {
            throw Wrong("no \(key) in /proc/\(pid)/\(file)")
        }
        return value
    }

    private func text(_ file: String) throws -> String {
        try String(contentsOfFile: "/proc/\(pid)/\(file)", encoding: .utf8)
    }
}
