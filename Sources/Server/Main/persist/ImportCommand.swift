import ArgumentParser
import Backends
import Foundation
import Storage
import StorageCommands

/// `persist storage import`.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Takes over output and samples from a directory that the original Joblet wrote.",
        discussion: "The directory is not changed. Importing again adds what came since.")

    @OptionGroup var options: StoreOptions

    @Argument(help: "The directory, which has one below it for each job.")
    var directory: String

    @Option(help: "The directory of metrics, where it is another one.")
    var metrics: String?

    func run() async throws {
        for path in [directory, metrics].compactMap(\.self) {
            var isDirectory: ObjCBool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory.boolValue else {
                throw CommandFailure("\(path) is no directory")
            }
        }
        try await OutputStores.with(options) { stores in
            let line = ProgressLine("import", .entries("entries"))
            defer { line.end() }
            let logs = try await OriginalImport(directory: directory).logs(into: stores.logs) { line.update($0) }
            let samples = try await OriginalImport(directory: metrics ?? directory)
                .metrics(into: stores.metrics) { line.update($0) }
            line.end()
            print("logs: \(Show.count(logs.jobs, "job")), \(Show.bytes(logs.units))\(flaws(logs))")
            print(
                "metrics: \(Show.count(samples.jobs, "job")), \(Show.count(samples.units, "sample"))\(flaws(samples))")
            for name in Set(logs.skipped + samples.skipped).sorted() {
                StandardError.write("\(name): not imported, its name is no job id")
            }
            for (what, report) in [("logs", logs), ("metrics", samples)] {
                for failure in report.failures { StandardError.write("\(what) of \(failure.job): \(failure.error)") }
            }
            guard logs.failures.isEmpty, samples.failures.isEmpty else { throw ExitCode(1) }
        }
    }

    private func flaws(_ report: OriginalImport.Report) -> String {
        report.badLines == 0 && report.damages == 0
            ? "" : ", \(Show.count(report.badLines, "bad line")), \(report.damages) damaged places passed over"
    }
}
