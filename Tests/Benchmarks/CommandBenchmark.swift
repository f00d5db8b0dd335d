import BenchmarkSupport
import Foundation

/// What `rnx job list` takes on a node with a hundred jobs.
struct CommandBenchmark {
    let node: Node

    func run() async throws -> [Figure] {
        for _ in 0..<100 { try await node.complete(Node.request(["/bin/true"])) }
        try await node.storesAreLevel()
        try await node.checkAllCompleted(100)
        var costs: [Floor.Cost] = []
        for _ in 0..<40 {
            let cost = try node.floor.cost(
                of: [node.rnx, "job", "list"], environment: node.environment, work: node.work)
            let listed = cost.output.split(separator: "\n").count { $0.contains("COMPLETED") }
            guard listed == 100 else {
                throw Wrong("rnx job list shows other jobs than the hundred")
            }
            costs.append(cost)
        }
        return [
            Figure("rnx.list_ms", costs.map { $0.seconds * 1000 }.median, "ms", better: .lower),
            Figure(
                "rnx.list_ms.client_cpu_ms", costs.map { $0.processorSeconds * 1000 }.median, "ms", better: .lower),
            Figure("rnx.list_memory_mb", costs.map(\.megabytes).median, "MB", better: .lower),
        ]
    }
}
