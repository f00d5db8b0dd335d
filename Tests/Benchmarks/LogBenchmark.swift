import BenchmarkSupport
import Foundation
import JobletAPI

/// How fast one job's output gets to a viewer and to the store, and out of it again.
struct LogBenchmark {
    let node: Node

    /// A producer that formats its lines, and one that costs next to nothing.
    private static let text =
        "awk 'BEGIN {for (i = 0; i < 3000000; i++) "
        + #"printf "%08d the quick brown fox jumps over the lazy dog and runs on\n", i}'"#
    private static let cheap =
        "yes 'the quick brown fox jumps over the lazy dog and runs on, as it does on every other day' | head -c 400000000"

    func run() async throws -> [Figure] {
        try node.daemon.forgetPeak()
        let (formatted, job) = try await live("log.live_mb_s", LogBenchmark.text)
        let (repeated, _) = try await live("log.live_cheap_mb_s", LogBenchmark.cheap)
        let lines = try await LineBenchmark(node: node).run()
        let peak = try node.daemon.peakMegabytes()
        return formatted + repeated + [try await latency()] + lines + (try await readBack(job))
            + [Figure("log.peak_memory_mb", peak, "MB", better: .lower)]
    }

    /// MB a second from the call that starts the job to the end of its log at `rnx`; the job's id.
    private func live(_ name: String, _ pipeline: String) async throws -> ([Figure], job: String) {
        var rates: [Double] = []
        var floors: [Double] = []
        var client: [Double] = []
        var server: [Double] = []
        var job = ""
        for _ in 0..<3 {
            let bare = try node.floor.cost(of: ["sh", "-c", pipeline + " | wc -c"], work: node.work)
            floors.append(try megabytes(bare) / bare.seconds)
            let before = try node.processorSeconds()
            let start = ContinuousClock.now
            job = try await node.start(Node.request(["sh", "-c", pipeline]))
            let viewer = try node.floor.cost(
                of: ["sh", "-c", "'\(node.rnx)' job log \(job) | wc -c"], environment: node.environment,
                work: node.work)
            let seconds = (ContinuousClock.now - start).seconds
            guard viewer.output == bare.output else {
                throw Wrong("job \(job): \(viewer.output) bytes were seen of \(bare.output)")
            }
            try await node.completion(of: job)
            try await node.storesAreLevel()
            let size = try megabytes(viewer)
            rates.append(size / seconds)
            client.append(viewer.processorSeconds / size * 1000)
            server.append((try node.processorSeconds() - before) / size * 1000)
        }
        let figures = [
            Figure(name, rates.median, "MB/s", floor: floors.median, better: .higher),
            Figure(name + ".client_cpu", client.median, "s/GB", better: .lower),
            Figure(name + ".node_cpu", server.median, "s/GB", better: .lower),
        ]
        return (figures, job)
    }

    private func megabytes(_ cost: Floor.Cost) throws -> Double {
        guard let bytes = Double(cost.output.trimmingCharacters(in: .whitespacesAndNewlines)), bytes > 0 else {
            throw Wrong("wc said \(cost.output)")
        }
        return bytes / 1e6
    }

    /// How long a line takes from the job to a viewer; from a bare process through a pipe at the floor.
    private func latency() async throws -> Figure {
        let ticks = ["ticks", "300", "5000"]
        let delays = Delays()
        try await node.follow(try await node.start(try node.floorRequest(ticks))) { delays.note($0.payload) }
        let bare = Delays()
        try bare.note(outputOf: node.floor.program, ticks)
        guard delays.values.count > 200 else { throw Wrong("\(delays.values.count) of 300 lines came") }
        return Figure(
            "log.live_latency_ms", delays.values.median, "ms", floor: bare.values.median, better: .lower)
    }

    /// MB a second of a stored log at `rnx`; of inflating the same files at the floor.
    private func readBack(_ job: String) async throws -> [Figure] {
        let file = "\(node.directory)/logs/\(job)/stdout.log.gz"
        let command = "'\(node.rnx)' job log \(job)"
        let sums = try [command, "zcat \(file)"].map {
            try node.floor.cost(
                of: ["sh", "-c", $0 + " | sha256sum"], environment: node.environment, work: node.work
            ).output
        }
        guard sums[0] == sums[1] else { throw Wrong("the log of job \(job) is not what is stored") }
        var rates: [Double] = []
        var floors: [Double] = []
        var client: [Double] = []
        for _ in 0..<5 {
            let inflated = try node.floor.cost(of: ["sh", "-c", "zcat \(file) | wc -c"], work: node.work)
            floors.append(try megabytes(inflated) / inflated.seconds)
            let viewed = try node.floor.cost(
                of: ["sh", "-c", command + " | wc -c"], environment: node.environment, work: node.work)
            rates.append(try megabytes(viewed) / viewed.seconds)
            client.append(viewed.processorSeconds / (try megabytes(viewed)) * 1000)
        }
        return [
            Figure("log.readback_mb_s", rates.median, "MB/s", floor: floors.median, better: .higher),
            Figure("log.readback_mb_s.client_cpu", client.median, "s/GB", better: .lower),
        ]
    }
}
