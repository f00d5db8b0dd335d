import Storage

/// Records of jobs as a node writes them.
struct SampleRecords: Sendable {
    private let node = NodeIdentity(id: "node-7", incarnation: JobID.random().description)

    /// The record of a job that has ended, and what it was before.
    func versions(of number: Int) -> [JobRecord] {
        var specification = JobSpecification(command: "/usr/bin/python3")
        specification.name = "nightly-report-\(number % 500)"
        specification.arguments = ["report.py", "--customer", "\(10_000 + number)", "--format", "parquet", "--retry=3"]
        specification.workDirectory = "/work"
        specification.environment = [
            "PYTHONUNBUFFERED": "1", "REPORT_BUCKET": "s3://reports/nightly", "TZ": "UTC", "LOG_LEVEL": "info",
        ]
        specification.secretEnvironment = ["DB_PASSWORD": SealedValue(base64: "bm90IGEgcmVhbCBzZWNyZXQsIG9ubHkgaXRz")]
        specification.limits.cpuPercent = 200
        specification.limits.memoryBytes = 512 << 20
        specification.limits.processes = 256
        specification.uploads = ["report.py", "templates/summary.html"]
        specification.labels = ["team": "billing", "stage": "production"]
        specification.timeout = 3_600_000_000_000
        let createdAt = 1_790_000_000_000_000_000 + Int64(number) * 50_000_000
        var first = JobRecord(id: JobID.random(), node: node, specification: specification, createdAt: createdAt)
        first.lease = JobLease(
            startToken: UInt64(number), idRange: 1_879_048_192 + UInt32(number % 4000) * 65_536,
            bootID: "7d1c2f1e-93a5-4a0f-8a3c-0d5e6f2b9c11")
        var running = first
        running.version = 2
        running.status = .running
        running.pid = 4000 + Int32(number % 30_000)
        running.startedAt = createdAt + 2_000_000
        var ended = running
        ended.version = 3
        ended.status = .completed
        ended.lease = nil
        ended.endedAt = createdAt + 900_000_000
        return [first, running, ended]
    }

    /// Records of that many ended jobs.
    func ended(_ numbers: Range<Int>) -> [JobRecord] { numbers.compactMap { versions(of: $0).last } }
}
