import BenchmarkSupport

/// `joblet-bench --bin DIR --floor PROGRAM --client PROGRAM --work DIR [--output FILE] [--only GROUP,...] [--durability LEVEL]`
///
/// Measures daemons that it starts itself.
@main
struct Benchmark {
    static func main() async {
        await Group.main {
            let options = try Options(CommandLine.arguments.dropFirst(), others: ["--bin", "--floor", "--client"])
            let surroundings = Surroundings(
                programs: try options.value(of: "--bin"), floor: Floor(program: try options.value(of: "--floor")),
                client: try options.value(of: "--client"), work: options.work, durability: options.durability)
            return (options, surroundings)
        }
    }
}

/// What is measured in one go, on a daemon of its own.
enum Group: String, BenchmarkGroup {
    case start, jobs, log, memory, upload, rnx, querylogs, metrics, workers

    func measure(_ surroundings: Surroundings) async throws -> [Figure] {
        switch self {
        case .start: try await Node.run(in: surroundings) { try await StartBenchmark(node: $0).run() }
        case .jobs: try await Node.run(in: surroundings) { try await JobsBenchmark(node: $0).run() }
        case .log: try await Node.run(in: surroundings) { try await LogBenchmark(node: $0).run() }
        case .memory: try await Node.run(in: surroundings) { try await MemoryBenchmark(node: $0).run() }
        case .upload: try await Node.run(in: surroundings) { try await UploadBenchmark(node: $0).run() }
        case .rnx: try await Node.run(in: surroundings) { try await CommandBenchmark(node: $0).run() }
        case .querylogs: try await Node.run(in: surroundings) { try await LogQueryBenchmark(node: $0).run() }
        case .metrics: try await MetricQueryBenchmark(surroundings: surroundings).run()
        case .workers:
            try await Node.run(in: surroundings, mode: .workers) { try await WorkersBenchmark(node: $0).run() }
        }
    }
}

/// Where the programs are and how durable the daemon is.
struct Surroundings: Sendable {
    let programs: String
    let floor: Floor
    /// The program that lists jobs with the libraries of `rnx` alone.
    let client: String
    /// A directory for everything that is written.
    let work: String
    let durability: String
}
