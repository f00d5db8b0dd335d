import BenchmarkSupport
import Foundation

/// How many jobs a second a node takes, and how many it brings to their end and into its stores.
struct JobsBenchmark {
    let node: Node

    func run() async throws -> [Figure] {
        var figures: [Figure] = []
        var total = try await warmUp()
        for (callers, count) in [(1, 200), (8, 500), (32, 600)] {
            var rates: [Double] = []
            var floors: [Double] = []
            let (client, daemon) = (ownProcessorSeconds(), try node.daemon.processorSeconds())
            let processes = try node.processorSeconds()
            for _ in 0..<3 {
                floors.append(try node.floor.sandboxesPerSecond(loops: callers, count: count / 2, work: node.work))
                rates.append(try await completedPerSecond(callers: callers, count: count))
            }
            total += 3 * count
            let name = "jobs_per_s.c\(callers)"
            let each = 1000 / Double(3 * count)
            figures += [
                Figure(name, rates.median, "jobs/s", floor: floors.median, better: .higher),
                Figure(
                    name + ".client_cpu_ms", (ownProcessorSeconds() - client) * each, "ms/job", better: .lower),
                Figure(
                    name + ".daemon_cpu_ms", (try node.daemon.processorSeconds() - daemon) * each, "ms/job",
                    better: .lower),
                Figure(
                    name + ".node_cpu_ms", (try node.processorSeconds() - processes) * each, "ms/job", better: .lower),
            ]
        }
        var accepted: [Double] = []
        var floors: [Double] = []
        for _ in 0..<3 {
            floors.append(try node.floor.sandboxesPerSecond(loops: 32, count: 300, work: node.work))
            accepted.append(try await acceptedPerSecond(callers: 64, count: 500))
        }
        total += 3 * 500
        try await node.checkAllCompleted(total)
        return [Figure("submit_per_s", accepted.median, "jobs/s", floor: floors.median, better: .higher)]
            + figures
    }

    private func warmUp() async throws -> Int {
        _ = try await completedPerSecond(callers: 8, count: 40)
        return 40
    }

    /// Jobs a second until each is COMPLETED, as its caller sees it, and every log is stored.
    private func completedPerSecond(callers: Int, count: Int) async throws -> Double {
        let start = ContinuousClock.now
        try await call(callers: callers, count: count) { node in
            try await node.complete(Node.request(["/bin/true"]))
        }
        try await node.storesAreLevel()
        return Double(count) / (ContinuousClock.now - start).seconds
    }

    /// Answered RunJob calls a second.
    private func acceptedPerSecond(callers: Int, count: Int) async throws -> Double {
        let start = ContinuousClock.now
        try await call(callers: callers, count: count) { node in
            _ = try await node.start(Node.request(["/bin/true"]))
        }
        let rate = Double(count) / (ContinuousClock.now - start).seconds
        try await node.storesAreLevel()
        return rate
    }

    private func call(callers: Int, count: Int, _ body: @Sendable @escaping (Node) async throws -> Void) async throws {
        let node = node
        try await withThrowingTaskGroup(of: Void.self) { group in
            for caller in 0..<callers {
                group.addTask {
                    for _ in stride(from: caller, to: count, by: callers) { try await body(node) }
                }
            }
            try await group.waitForAll()
        }
    }
}
