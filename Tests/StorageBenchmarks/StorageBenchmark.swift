import BenchmarkSupport
import Storage

/// `storage-bench --work DIR [--output FILE] [--only GROUP,...] [--durability LEVEL]`
///
/// Measures the stores alone, without a daemon.
@main
struct StorageBenchmark {
    static func main() async {
        await Group.main {
            let options = try Options(CommandLine.arguments.dropFirst())
            guard let durability = Durability(rawValue: options.durability) else {
                throw Wrong("no durability \(options.durability)")
            }
            return (options, Surroundings(work: options.work, durability: durability))
        }
    }
}

/// What is measured in one go, on stores of its own.
enum Group: String, BenchmarkGroup {
    case ingest, query, state, cloud

    func measure(_ surroundings: Surroundings) async throws -> [Figure] {
        switch self {
        case .ingest: try await IngestBenchmark(surroundings: surroundings).run()
        case .query: try await QueryBenchmark(surroundings: surroundings).run()
        case .state: try await StateBenchmark(surroundings: surroundings).run()
        case .cloud: try await CloudBenchmark(surroundings: surroundings).run()
        }
    }
}

/// Where stores are made and how durable they are.
struct Surroundings: Sendable {
    /// A directory for everything that is written.
    let work: String
    let durability: Durability
}
