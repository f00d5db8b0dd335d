import AWSSupport
import Backends
import BenchmarkSupport
import CloudBackends
import Foundation
import Storage

/// What S3 and DynamoDB are asked, and how fast it goes, with moto's server in their place: on the same processors, so
/// that rates say little of AWS, while the numbers of requests are the same there.
struct CloudBenchmark {
    let surroundings: Surroundings

    private static let jobs = 1000
    /// Jobs that end at the same time.
    private static let width = 32

    func run() async throws -> [Figure] {
        let server = try MotoServer()
        var figures = try await logs(server)
        figures += try await smallJobs(server)
        figures += try await records(server)
        return figures
    }

    private func openLogs(_ server: MotoServer) async throws -> S3LogStore {
        var configuration = S3Configuration(
            bucket: "bench-\(JobID.random())", node: "node-7", aws: server.configuration())
        configuration.createsBucket = true
        let store = S3LogStore(configuration, http: HTTPClient())
        try await store.check()
        return store
    }

    /// One log of 1 GB.
    private func logs(_ server: MotoServer) async throws -> [Figure] {
        let log = SampleLog(megabytes: 1000)
        let lines = SampleLog(megabytes: 125, shape: .lines)
        let codec = try BareCodec(log)
        let store = try await openLogs(server)
        var rates = Rates()
        let before = store.counts
        rates.add(log, try await log.ingest(into: store))
        let written = store.counts
        rates.readBack.append(log.megabytes / (try await log.readBack(from: store)))
        let read = Requests(from: written, to: store.counts).sum
        let statistics = try await store.statistics(of: log.job)
        rates.ratio = Double(statistics.bytes) / Double(statistics.storedBytes)
        rates.lines.append(Double(lines.lines) / (try await lines.ingest(into: store)).seconds)
        var figures = rates.figures("s3", CodecRates([codec], log))
        figures += Requests(from: before, to: written).figures("cloud.requests_per_gb")
        figures.append(Figure("cloud.requests_per_gb.read_back", Double(read), "requests", better: .lower))
        return figures
    }

    /// A thousand jobs that say 1 KB each.
    private func smallJobs(_ server: MotoServer) async throws -> [Figure] {
        let store = try await openLogs(server)
        let text = Array(LogText(bytes: 1000, seed: 11).bytes.prefix(1000))
        let before = store.counts
        try await Self.concurrently(Self.jobs, width: Self.width) { _ in
            let job = JobID.random()
            var run = FragmentRun(start: 0)
            run.append(stream: .stdout, time: SampleLog.firstTime, bytes: text)
            try await store.append(run, to: job)
            guard try await store.sync([job])[job] == 1000 else { throw Wrong("a small log is not durable") }
            try await store.finish(job)
        }
        return Requests(from: before, to: store.counts).figures("cloud.requests_per_1000_jobs")
    }

    /// The three versions of a thousand jobs' records.
    private func records(_ server: MotoServer) async throws -> [Figure] {
        let configuration = DynamoDBConfiguration(
            table: "bench-\(JobID.random())", aws: server.configuration(), createsTable: true)
        let store = DynamoDBJobStore(configuration, http: HTTPClient())
        try await store.check()
        let samples = SampleRecords()
        let jobs = (0..<Self.jobs).map(samples.versions)
        let floor = try await bareUpdatesPerSecond(configuration)
        let before = store.counts
        let start = ContinuousClock.now
        for first in stride(from: 0, to: Self.jobs, by: Self.width) {
            let part = jobs[first..<min(first + Self.width, Self.jobs)]
            for version in 0..<3 { try await store.put(part.map { $0[version] }) }
        }
        let seconds = (ContinuousClock.now - start).seconds
        let written = store.counts
        guard try await store.list(JobQuery(), after: nil, limit: 10).records.count == 10 else {
            throw Wrong("the records are not listed")
        }
        let rate = Double(3 * Self.jobs) / seconds
        return [Figure("state.dynamodb.puts_s", rate, "puts/s", floor: floor, better: .higher)]
            + Requests(from: before, to: written).figures("cloud.record_requests_per_1000_jobs") + [
                Figure(
                    "cloud.record_write_units_per_1000_jobs", written.writeUnits - before.writeUnits, "units",
                    better: .lower)
            ]
    }

    /// What the server answers: plain updates of one attribute, as many at once as a `put` sends.
    private func bareUpdatesPerSecond(_ configuration: DynamoDBConfiguration) async throws -> Double {
        let service = AWSService("dynamodb", configuration.aws, http: HTTPClient())
        let count = 500
        let start = ContinuousClock.now
        try await Self.concurrently(count, width: 16) { _ in
            let body = """
                {"TableName": "\(configuration.table)", "Key": {"jobId": {"S": "\(JobID.random())"}},
                 "UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"N": "1"}}}
                """
            _ = try await service.call(
                AWSRequest(
                    "POST", "/",
                    headers: [
                        HTTPHeader("Content-Type", "application/x-amz-json-1.0"),
                        HTTPHeader("X-Amz-Target", "DynamoDB_20120810.UpdateItem"),
                    ], body: Array(body.utf8)))
        }
        return Double(count) / (ContinuousClock.now - start).seconds
    }

    private static func concurrently(
        _ count: Int, width: Int, _ body: @Sendable @escaping (Int) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in 0..<width {
                group.addTask {
                    for index in stride(from: first, to: count, by: width) { try await body(index) }
                }
            }
            try await group.waitForAll()
        }
    }
}

/// What was asked of a service.
private struct Requests {
    private let counts: [String: Int]

    init(from before: AWSService.Counts, to now: AWSService.Counts) {
        counts = now.requests.merging(before.requests) { $0 - $1 }.filter { $0.value > 0 }
    }

    var sum: Int { counts.values.reduce(0, +) }

    /// The sum, and each operation.
    func figures(_ name: String) -> [Figure] {
        var figures = [Figure(name, Double(sum), "requests", better: .lower)]
        for (operation, count) in counts.sorted(by: { $0.key < $1.key }) {
            figures.append(Figure("\(name).\(operation.lowercased())", Double(count), "requests", better: .lower))
        }
        return figures
    }
}
