import AWSSupport
import DaemonSupport
import Engine
import Foundation
import Glibc
import Storage
import StorageConformance
import TestSupport
import Testing

@testable import Backends

@Suite struct PersistCommandsTests {
    @Test func `a copy to another backend and back is identical, and copying again copies nothing`() async throws {
        let (first, second, third) = (try Node(), try Node("sqlite"), try Node())
        let jobs = try await first.fill(5)
        let there = try await first.run("persist", "copy --to sqlite:\(second.data)")
        #expect(there.status == 0, "\(there)")
        #expect(there.output.contains("logs: 5 jobs verified in sqlite:\(second.data), "), "\(there)")
        #expect(there.output.contains("metrics: 5 jobs verified in sqlite:\(second.data), 150 samples copied"))
        let again = try await first.run("persist", "copy --to sqlite:\(second.data)")
        #expect(again.status == 0)
        #expect(again.output.contains("logs: 5 jobs verified in sqlite:\(second.data), 0 B copied"), "\(again)")
        let back = try await second.run("persist", "copy --to local-gzip:\(third.data)")
        #expect(back.status == 0, "\(back)")
        for job in jobs {
            let (sent, arrived) = (try first.logs(), try third.logs())
            #expect(
                try await sent.transcript(of: LogQuery(job: job)) == arrived.transcript(of: LogQuery(job: job)))
            let query = MetricQuery(job: job)
            #expect(
                try await first.metrics().read(query, from: 0, limit: 100)
                    == third.metrics().read(query, from: 0, limit: 100))
        }
        let verified = try await third.run("persist", "verify")
        #expect(verified.status == 0 && verified.output.contains("metrics: 5 jobs, 150 samples, 0 damaged"))
    }

    @Test(arguments: ["auto", "true", "false"])
    func `the bucket stands where pathStyle says`(_ style: String) async throws {
        let server = try MotoServer.shared.get()
        let name = "style-\(UUID().uuidString.lowercased())"
        try await FaultProxy.run(upstream: server.port) { _ in
            .pass
        } _: { proxy in
            // Every name below localhost is the loopback interface.
            let settings =
                "bucket: \(name), endpoint: \"http://localhost:\(proxy.port)\", createBucket: true, pathStyle: \(style)"
            let node = try Node("s3", bucket: "{\(settings)}", more: "server: {nodeId: \(name)}")
            let stats = try await node.run("persist", "stats")
            #expect(stats.status == 0, "\(stats)")
            let host = style == "false" ? "\(name).localhost:\(proxy.port)" : "localhost:\(proxy.port)"
            #expect(!proxy.requests.isEmpty && proxy.requests.allSatisfy { $0.headers["host"] == host })
        }
    }

    @Test func `output and samples are copied to one bucket of S3, looked after there, and copied back`() async throws {
        let server = try MotoServer.shared.get()
        let name = "copy-\(UUID().uuidString.lowercased())"
        let settings = "bucket: \(name), prefix: p, endpoint: \"\(server.endpoint)\""
        let node = "server: {nodeId: \(name)}"
        let local = try Node(bucket: "{\(settings), createBucket: true}", more: node)
        let (cloud, back) = (try Node("s3", bucket: "{\(settings)}", more: node), try Node())
        let jobs = try await local.fill(5)
        let there = try await local.run("persist", "copy --to s3:\(name)/p")
        #expect(there.status == 0, "\(there)")
        #expect(there.output.contains("metrics: 5 jobs verified in s3:\(name)/p, 150 samples copied"), "\(there)")
        let again = try await local.run("persist", "copy --to s3:\(name)/p")
        #expect(again.output.contains("metrics: 5 jobs verified in s3:\(name)/p, 0 samples copied"), "\(again)")
        let verified = try await cloud.run("persist", "verify")
        #expect(verified.status == 0 && verified.output.contains("metrics: 5 jobs, 150 samples, 0 damaged"))
        let itself = try await cloud.run("persist", "copy --to s3:\(name)/p")
        #expect(itself.status == 64 && itself.output.contains("that is what would be copied"), "\(itself)")
        let home = try await cloud.run("persist", "copy --to local-gzip:\(back.data)")
        #expect(home.status == 0, "\(home)")
        for job in jobs {
            let query = MetricQuery(job: job)
            #expect(
                try await local.metrics().read(query, from: 0, limit: 100)
                    == back.metrics().read(query, from: 0, limit: 100))
        }
        let pruned = try await cloud.run("persist", "prune --max-age 1h")
        #expect(pruned.status == 0 && pruned.output.contains("metrics: 5 jobs of "), "\(pruned)")
        let emptied = try await cloud.run("persist", "verify")
        #expect(emptied.output.contains("metrics: 0 jobs, 0 samples, 0 damaged"), "\(emptied)")
    }

    @Test func `a flipped byte is found by verify and mended by repair`() async throws {
        let node = try Node()
        let jobs = try await node.fill(3)
        #expect(try await node.run("persist", "verify").status == 0)
        let path = "\(node.data)/logs/\(jobs[1])/stdout.log.gz"
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        bytes[bytes.count - 12] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        let found = try await node.run("persist", "verify")
        #expect(found.status == 1)
        #expect(found.output.contains("logs of \(jobs[1]): damaged: "), "\(found)")
        #expect(found.output.contains(", 1 damaged\n"))
        let mended = try await node.run("persist", "repair")
        #expect(mended.status == 0, "\(mended)")
        #expect(mended.output.contains("logs of \(jobs[1]): mended, "), "\(mended)")
        #expect(try await node.run("persist", "verify").status == 0)
    }

    @Test func `a database that SQLite finds damaged is told by verify and made anew by repair`() async throws {
        let node = try Node("sqlite")
        let jobs = try await node.fill(3)
        let path = "\(node.data)/logs/logs.db"
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        let size = try handle.seekToEnd()
        // The last page belongs to a table or an index; the first, which says that it is a database, stays.
        try handle.seek(toOffset: size - 16384)
        try handle.write(contentsOf: Data(repeating: 0xa5, count: 4096))
        try handle.close()
        #expect(try await node.run("persist", "verify").status == 1)
        let mended = try await node.run("persist", "repair")
        #expect(mended.output.contains("logs: the database was damaged; a new one has "), "\(mended)")
        #expect(FileManager.default.fileExists(atPath: "\(path).damaged"))
        let verified = try await node.run("persist", "verify")
        #expect(verified.status == 0, "\(verified)")
        #expect(jobs.count == 3)
    }

    @Test func `a dry run tells what would go, prune drops it, and a running job stays`() async throws {
        let node = try Node()
        let jobs = try await node.fill(4)
        try await node.record(jobs[0], .running, endedAt: nil)
        for job in jobs.dropFirst() { try await node.record(job, .completed) }
        // The output of one is not all stored.
        try FileManager.default.createDirectory(
            atPath: "\(node.data)/outbox/\(jobs[1])", withIntermediateDirectories: true)
        let before = try await node.run("persist", "stats --json").output
        let dry = try await node.run("persist", "prune --max-age 1h --dry-run")
        #expect(dry.status == 0)
        #expect(dry.output.contains("would delete 2 (2 by age)"), "\(dry)")
        #expect(try await node.run("persist", "stats --json").output == before)
        let pruned = try await node.run("persist", "prune --max-age 1h")
        #expect(pruned.status == 0 && pruned.output.contains("deleted 2 (2 by age)"), "\(pruned)")
        #expect(try await node.logs().jobs(after: nil, limit: 10) == Array(jobs[..<2]))
        #expect(try await node.metrics().jobs(after: nil, limit: 10) == Array(jobs[..<2]))
    }

    @Test func `prune without limits applies the configured retention`() async throws {
        let node = try Node()
        _ = try await node.fill(2)
        // What is stored is years old, the defaults are 30 and 90 days.
        let pruned = try await node.run("persist", "prune")
        #expect(pruned.status == 0)
        #expect(try await node.logs().jobs(after: nil, limit: 10).isEmpty, "\(pruned)")
        #expect(try await node.metrics().jobs(after: nil, limit: 10).isEmpty)
    }

    @Test(arguments: ["local-gzip", "sqlite"])
    func `a directory of the original is imported`(_ backend: String) async throws {
        let node = try Node(backend)
        let job = JobID.random()
        let source = "\(node.directory.path)/original"
        func line(_ text: String, _ second: Int, stream: Int) -> String {
            let content = Data(text.utf8).base64EncodedString()
            return "{\"job_id\":\"\(job)\",\"stream\":\(stream),\"timestamp\":\(second)000000000,"
                + "\"content\":\"\(content)\"}\n"
        }
        try write(line("one\n", 100, stream: 1) + line("two\n", 102, stream: 1), to: "\(source)/\(job)/stdout.log.gz")
        try write(line("oops\n", 101, stream: 2), to: "\(source)/\(job)/stderr.log.gz")
        try write(
            "{\"job_id\":\"\(job)\",\"timestamp\":1700000000,\"data\":{\"cpu_usage\":1.5,\"memory_usage\":4096}}\n",
            to: "\(source)/\(job)/metrics.jsonl.gz")
        try FileManager.default.createDirectory(atPath: "\(source)/lost+found", withIntermediateDirectories: true)
        for _ in 0..<2 {
            let imported = try await node.run("persist", "import \(source)")
            #expect(imported.status == 0)
            #expect(imported.output.contains("logs: 1 job, 13 B\nmetrics: 1 job, 1 sample\n"), "\(imported)")
            #expect(imported.output.contains("lost+found: not imported"))
        }
        let transcript = try await node.logs().transcript(of: LogQuery(job: job))
        #expect(String(decoding: transcript.bytes, as: UTF8.self) == "one\noops\ntwo\n")
        let samples = try await node.metrics().read(MetricQuery(job: job), from: 0, limit: 10).samples
        #expect(samples.map(\.time) == [1_700_000_000_000_000_000])
        #expect(try await node.run("persist", "import \(source)/none").status == 1)
    }

    @Test func `statistics are a table, or JSON with the largest jobs first`() async throws {
        let node = try Node()
        let jobs = try await node.fill(3)
        let table = try await node.run("persist", "stats --top 2")
        #expect(table.status == 0)
        #expect(table.output.contains(/^STORE +BACKEND +JOBS +BYTES +LINES +SAMPLES +STORED +RATIO +OLDEST\n/))
        #expect(table.output.contains(#/\nmetrics +local-gzip +3 +- +- +90 /#), "\(table)")
        let json = try await node.run("persist", "stats --top 2 --json")
        let summaries = try #require(
            try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]])
        #expect(summaries.map { $0["store"] as? String } == ["logs", "metrics"])
        let total = try #require(summaries[0]["total"] as? [String: Any])
        var bytes: UInt64 = 0
        for job in jobs { bytes += try await node.logs().statistics(of: job).bytes }
        #expect(total["bytes"] as? UInt64 == bytes)
        let top = try #require(summaries[0]["top"] as? [[String: Any]])
        let sizes = top.compactMap { $0["stored_bytes"] as? Int }
        #expect(sizes.count == 2 && sizes[0] >= sizes[1])
    }

    @Test func `stores that a daemon or a worker has are refused`() async throws {
        let node = try Node()
        let lock = try DataDirectoryLock(node.data)
        for command in ["stats", "verify", "copy --to sqlite:/nowhere", "prune", "repair", "import /tmp"] {
            let refused = try await node.run("persist", command)
            #expect(refused.status == 1, "\(command): \(refused)")
            #expect(refused.output.contains("the stores are in use: another joblet daemon holds \(node.data)"))
        }
        lock.release()
        let worker = try ChildProcess(Products.path("persist"), node.arguments(""))
        _ = try await worker.line(containing: "listening")
        let refused = try await node.run("persist", "stats")
        #expect(refused.status == 1 && refused.output.contains("the stores are in use: another process serves "))
        worker.signal(SIGTERM)
        #expect(await worker.end() == 0)
        #expect(try await node.run("persist", "stats").status == 0)
    }

    @Test func `databases are copied while a worker has them`() async throws {
        let (node, empty) = (try Node("sqlite"), try Node())
        let jobs = try await node.fill(3)
        let worker = try ChildProcess(Products.path("persist"), node.arguments(""))
        _ = try await worker.line(containing: "listening")
        let copy = "\(node.directory.path)/copy"
        let made = try await node.run("persist", "backup \(copy)")
        #expect(made.status == 0, "\(made)")
        #expect(made.output == "logs: \(copy)/logs/logs.db\nmetrics: \(copy)/metrics/metrics.db\n")
        let again = try await node.run("persist", "backup \(copy)")
        #expect(again.status == 1 && again.output.contains("\(copy)/logs/logs.db exists already"), "\(again)")
        worker.signal(SIGTERM)
        #expect(await worker.end() == 0)
        let (logs, metrics) = (
            try SQLiteLogStore(path: "\(copy)/logs/logs.db"), try SQLiteMetricStore(path: "\(copy)/metrics/metrics.db")
        )
        for job in jobs {
            let query = LogQuery(job: job)
            #expect(try await logs.transcript(of: query) == node.logs().transcript(of: query))
            #expect(
                try await metrics.read(MetricQuery(job: job), from: 0, limit: 100)
                    == node.metrics().read(MetricQuery(job: job), from: 0, limit: 100))
        }
        let refused = try await empty.run("persist", "backup \(copy)")
        #expect(refused.status == 1 && refused.output.contains("is sqlite; use copy"), "\(refused)")
    }

    @Test(
        "what makes no sense is a usage error",
        arguments: [
            "copy", "copy --to sqlite", "copy --to tape:/dev/st0", "prune --max-age soon", "prune --max-bytes 1.5GB",
            "import", "none", "backup",
        ])
    func usage(_ words: String) async throws {
        let refused = try await Node().run("persist", words)
        #expect(refused.status == 64, "\(refused)")
    }

    @Test func `a copy onto itself is refused`() async throws {
        let node = try Node()
        let refused = try await node.run("persist", "copy --to local-gzip:\(node.data)/../data")
        #expect(refused.status == 64 && refused.output.contains("that is what would be copied"), "\(refused)")
    }

    private func write(_ text: String, to path: String) throws {
        let url = URL(fileURLWithPath: path)
        try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        var member: [UInt8] = []
        Array(text.utf8).withUnsafeBytes { Gzip().compress($0, into: &member) }
        try Data(member).write(to: url)
    }
}
