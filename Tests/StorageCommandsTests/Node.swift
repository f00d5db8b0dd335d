import Backends
import DaemonSupport
import Foundation
import Storage
import StorageConformance
import TestSupport

/// A data directory and a configuration file that names its stores; the daemon never runs here.
final class Node {
    let directory: TemporaryDirectory
    let backend: String

    var data: String { "\(directory.path)/data" }
    private var file: String { "\(directory.path)/joblet-config.yml" }

    /// A node with that backend of logs and samples, and the settings of a bucket for both.
    init(_ backend: String = "local-gzip", bucket: String = "{}", more: String = "") throws {
        directory = try TemporaryDirectory(name: "joblet-commands")
        self.backend = backend
        try FileManager.default.createDirectory(
            atPath: data, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let text = """
            version: "3.0"
            storage:
              mode: \(backend == "s3" ? "workers" : "embedded")
              logs:
                backend: \(backend)
                s3: \(bucket)
              metrics:
                backend: \(backend)
              query:
                address: ""
            \(more)
            """
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
    }

    /// The arguments of `program` for this node, `words` before them.
    func arguments(_ words: String) -> [String] {
        words.split(separator: " ").map(String.init) + ["--config", file, "--data-dir", data]
    }

    /// Runs `persist storage …` or `state storage …` to its end.
    func run(_ program: String, _ words: String) async throws -> (status: Int32, output: String) {
        try await runProgram(
            Products.path(program), arguments("storage \(words)"),
            environment: ["AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"])
    }

    func logs() throws -> any LogStore {
        backend == "sqlite"
            ? try SQLiteLogStore(path: "\(data)/logs/logs.db") : try LocalGzipLogStore(directory: "\(data)/logs")
    }

    func metrics() throws -> any MetricStore {
        backend == "sqlite"
            ? try SQLiteMetricStore(path: "\(data)/metrics/metrics.db")
            : try LocalGzipMetricStore(directory: "\(data)/metrics")
    }

    func records() throws -> any JobStore { try SQLiteJobStore(path: "\(data)/state/jobs.db") }

    /// Stores output and samples of so many jobs, which ended long ago.
    func fill(_ count: Int) async throws -> [JobID] {
        let (logs, metrics) = (try logs(), try metrics())
        var jobs: [JobID] = []
        for index in 0..<count {
            let job = JobID.random()
            var log = SampleLog(seed: UInt64(index + 1))
            for run in log.runs(40) { try await logs.append(run, to: job) }
            var samples = SampleMetrics(seed: UInt64(index + 1))
            try await metrics.append(samples.samples(30), to: job)
            jobs.append(job)
        }
        _ = try await logs.sync(jobs)
        _ = try await metrics.sync(jobs)
        for job in jobs {
            try await logs.finish(job)
            try await metrics.finish(job)
        }
        return jobs.sorted()
    }

    /// Stores a record.
    func record(_ job: JobID, _ status: JobStatus, endedAt: Int64? = 10) async throws {
        var record = JobRecord(
            id: job, node: NodeIdentity(id: "n", incarnation: "i"),
            specification: JobSpecification(command: "/bin/true"), createdAt: 5)
        record.status = status
        record.endedAt = endedAt
        let store = try records()
        try await store.put([record])
        try await store.sync()
    }
}
