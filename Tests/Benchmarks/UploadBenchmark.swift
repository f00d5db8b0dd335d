import BenchmarkSupport
import Foundation

/// What a large upload takes.
struct UploadBenchmark {
    let node: Node

    private static let bytes = 100 << 20

    func run() async throws -> [Figure] {
        let file = node.work + "/upload"
        _ = try Command.output("/bin/sh", ["-c", "head -c \(UploadBenchmark.bytes) /dev/urandom > '\(file)'"])
        try await node.complete(Node.request(["/bin/true"]))
        try node.daemon.forgetPeak()
        let cost = try node.floor.cost(
            of: [
                node.rnx, "job", "run", "--wait", "--follow", "--upload=\(file)", "--", "sh", "-c",
                "sha256sum < upload",
            ], environment: node.environment, work: node.work)
        let peak = try node.daemon.peakMegabytes()
        let sum = try Command.output("/bin/sh", ["-c", "sha256sum < '\(file)'"])
        guard cost.output == sum else { throw Wrong("the upload arrived as \(cost.output), not \(sum)") }
        return [
            Figure("upload_100mb.peak_memory_mb", peak, "MB", better: .lower),
            Figure("upload_100mb.client_memory_mb", cost.megabytes, "MB", better: .lower),
            Figure("upload_100mb.seconds", cost.seconds, "s", better: .lower),
        ]
    }
}
