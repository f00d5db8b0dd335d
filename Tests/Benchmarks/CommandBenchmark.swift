import BenchmarkSupport
import Foundation

/// What `rnx job list` takes on a node with a hundred jobs.
struct CommandBenchmark {
    let node: Node

    func run() async throws -> [Figure] {
        for _ in 0..<100 { try await node.complete(Node.request(["/bin/true"])) }
        try await node.storesAreLevel()
        try await node.checkAllCompleted(100)
        let bare = [node.surroundings.client, "\(node.port)", node.directory + "/certs"]
        var (costs, floors): ([Floor.Cost], [Floor.Cost]) = ([], [])
        for _ in 0..<40 {
            costs.append(try cost(of: [node.rnx, "job", "list"]))
            floors.append(try cost(of: bare))
        }
        func figure(_ name: String, _ unit: String, _ value: (Floor.Cost) -> Double) -> Figure {
            Figure(name, costs.map(value).median, unit, floor: floors.map(value).median, better: .lower)
        }
        return [
            figure("rnx.list_ms", "ms") { $0.seconds * 1000 },
            figure("rnx.list_ms.client_cpu_ms", "ms") { $0.processorSeconds * 1000 },
            figure("rnx.list_memory_mb", "MB") { $0.megabytes },
        ]
    }

    /// What a command costs that lists the hundred jobs.
    private func cost(of command: [String]) throws -> Floor.Cost {
        let cost = try node.floor.cost(of: command, environment: node.environment, work: node.work)
        guard cost.output.split(separator: "\n").count(where: { $0.contains("COMPLETED") }) == 100 else {
            throw Wrong("\(command.joined(separator: " ")) shows other jobs than the hundred")
        }
        return cost
    }
}
