import BenchmarkSupport
import Foundation
import GRPCCore
import JobletAPI
import SwiftProtobuf

/// How fast QueryLogs tells the lines of a stored log.
struct LogQueryBenchmark {
    let node: Node

    private static let copies = 8

    func run() async throws -> [Figure] {
        let text = LogText(bytes: 8_000_000, seed: 3).bytes
        let lines = Self.copies * text.count { $0 == UInt8(ascii: "\n") }
        let script = "for i in $(seq \(Self.copies)); do cat text; done"
        let job = try await node.start(Node.textRequest(text, script: script))
        try await node.follow(job, streams: ["stderr"]) { _ in }
        try await node.completion(of: job)
        try await node.storesAreLevel()
        let file = "\(node.directory)/logs/\(job)/stdout.log.gz"
        var rates: [Double] = []
        var floors: [Double] = []
        var client: [Double] = []
        for _ in 0..<3 {
            let bare = try node.floor.cost(of: ["sh", "-c", "zcat \(file) | wc -l"], work: node.work)
            guard Int(bare.output.trimmingCharacters(in: .whitespacesAndNewlines)) == lines else {
                throw Wrong("\(bare.output) lines are stored of \(lines)")
            }
            floors.append(Double(lines) / bare.seconds)
            let (start, before) = (ContinuousClock.now, ownProcessorSeconds())
            let told = try await count(job)
            rates.append(Double(lines) / (ContinuousClock.now - start).seconds)
            client.append((ownProcessorSeconds() - before) / Double(lines) * 1e6)
            guard told == lines else { throw Wrong("QueryLogs told \(told) lines of \(lines)") }
        }
        return [
            Figure("querylogs.lines_s", rates.median, "lines/s", floor: floors.median, better: .higher),
            Figure("querylogs.lines_s.client_cpu", client.median, "s/1M lines", better: .lower),
        ]
    }

    private func count(_ job: String) async throws -> Int {
        try await node.history.queryLogs(.with { $0.jobID = job }) { response in
            var count = 0
            for try await _ in response.messages { count += 1 }
            return count
        }
    }
}
