import BenchmarkSupport
import Foundation
import JobletAPI
import SwiftProtobuf

/// What daemon, shim and pump take: idle, and with jobs.
struct MemoryBenchmark {
    let node: Node

    private static let jobs = 100

    func run() async throws -> [Figure] {
        // The first job has everything loaded that an idle node keeps.
        try await node.complete(Node.request(["/bin/true"]))
        try await node.storesAreLevel()
        let processes = try [node.daemon] + node.shims()
        guard processes.count == 3 else { throw Wrong("\(processes.count) processes instead of three") }
        let idle = try processes.map { try $0.proportionalMegabytes() }
        var ids: [String] = []
        for _ in 0..<MemoryBenchmark.jobs { ids.append(try await node.start(Node.request(["sleep", "600"]))) }
        let busy = try processes.map { try $0.proportionalMegabytes() }
        for id in ids { _ = try await node.jobs.stopJob(.with { $0.uuid = id }) }
        return [
            Figure("memory.idle_mb", idle.reduce(0, +), "MB", better: .lower),
            Figure("memory.idle_daemon_mb", idle[0], "MB", better: .lower),
            Figure(
                "memory.per_100_jobs_mb", zip(busy, idle).reduce(0) { $0 + $1.0 - $1.1 }, "MB", better: .lower),
        ]
    }
}
