import BenchmarkSupport
import Foundation
import JobletAPI

/// A node whose stores run in workers: what it takes idle, how a job starts, and `persist` while it takes 1 GB.
struct WorkersBenchmark {
    let node: Node

    private static let copies = 16
    private static let textBytes = 62_500_000

    func run() async throws -> [Figure] {
        // The first job has everything loaded that an idle node keeps.
        try await node.complete(Node.request(["/bin/true"]))
        try await node.storesAreLevel()
        let workers = [try node.worker("persist"), try node.worker("state")]
        let processes = try [node.daemon] + node.shims() + workers
        guard processes.count == 5 else { throw Wrong("\(processes.count) processes instead of five") }
        let idle = try processes.map { try $0.proportionalMegabytes() }
        let starts = try await StartBenchmark(node: node, name: "start.workers").run()
        return [
            Figure("memory.idle_workers_mb", idle.reduce(0, +), "MB", better: .lower),
            Figure("memory.idle_workers_daemon_mb", idle[0], "MB", better: .lower),
            Figure("memory.idle_persist_mb", idle[3], "MB", better: .lower),
            Figure("memory.idle_state_mb", idle[4], "MB", better: .lower),
        ] + starts.filter { $0.name.hasPrefix("start.workers") } + (try await ingest(workers[0]))
    }

    /// Brings 1 GB of one job's output into the store.
    private func ingest(_ persist: ProcessFiles) async throws -> [Figure] {
        let text = LogText(bytes: Self.textBytes, seed: 5).bytes
        let megabytes = Double(text.count * Self.copies) / 1e6
        let script = "for i in $(seq \(Self.copies)); do cat text; done"
        try persist.forgetPeak()
        let before = try persist.processorSeconds()
        let start = ContinuousClock.now
        let job = try await node.start(Node.textRequest(text, script: script))
        // Ends with the job, and nothing is sent.
        try await node.follow(job, streams: ["stderr"]) { _ in }
        try await node.completion(of: job)
        try await node.storesAreLevel()
        let seconds = (ContinuousClock.now - start).seconds
        let peak = try persist.peakMegabytes()
        let processorSeconds = try persist.processorSeconds() - before
        let file = "\(node.directory)/logs/\(job)/stdout.log.gz"
        let stored = try node.floor.cost(of: ["sh", "-c", "zcat \(file) | wc -c"], work: node.work)
        guard Int(stored.output.trimmingCharacters(in: .whitespacesAndNewlines)) == text.count * Self.copies else {
            throw Wrong("\(stored.output) bytes are stored of \(text.count * Self.copies)")
        }
        return [
            Figure("persist.memory_mb", peak, "MB", better: .lower),
            Figure("persist.ingest_mb_s", megabytes / seconds, "MB/s", better: .higher),
            Figure("persist.cpu", processorSeconds / megabytes * 1000, "s/GB", better: .lower),
        ]
    }
}
