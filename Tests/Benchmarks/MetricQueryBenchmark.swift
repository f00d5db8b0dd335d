import Backends
import BenchmarkSupport
import Foundation
import GRPCCore
import Glibc
import JobletAPI
import Storage
import SwiftProtobuf

/// How long QueryMetrics takes for an hour of a job that ran a day: once it was read before, and from the disk.
struct MetricQueryBenchmark {
    let surroundings: Surroundings

    private static let interval: Int64 = 5_000_000_000
    private static let samplesOfHour = 720
    private static let hours = 24
    private static let firstTime: Int64 = 1_790_000_000_000_000_000

    func run() async throws -> [Figure] {
        let job = JobID.random()
        return try await Node.run(in: surroundings, mode: .workers) { directory in
            try await Self.store(job, in: "\(directory)/metrics")
        } _: { node in
            try await measure(job, node)
        }
    }

    private func measure(_ job: JobID, _ node: Node) async throws -> [Figure] {
        let files = "\(node.directory)/metrics/\(job)"
        var disk: [Double] = []
        var cached: [Double] = []
        var floors: [Double] = []
        try await node.withWorkerHistory { history in
            // The worker and the connection are warm before anything counts.
            _ = try await milliseconds(job, hour: 0, history)
            for hour in 0..<Self.hours {
                try Self.dropPages(of: files)
                disk.append(try await milliseconds(job, hour: hour, history))
            }
            for _ in 0..<100 { cached.append(try await milliseconds(job, hour: Self.hours - 1, history)) }
        }
        for _ in 0..<5 {
            let bare = try node.floor.cost(of: ["sh", "-c", "zcat \(files)/* | wc -c"], work: node.work)
            floors.append(bare.seconds * 1000)
        }
        return [
            Figure(
                "metrics.query_cached_ms", cached.percentile(95), "ms", floor: floors.median, better: .lower),
            Figure("metrics.query_disk_ms", disk.percentile(95), "ms", floor: floors.median, better: .lower),
        ]
    }

    private func milliseconds(
        _ job: JobID, hour: Int, _ history: Joblet_Persist_PersistService.Client<Node.Transport>
    ) async throws -> Double {
        let first = Self.firstTime + Int64(hour * Self.samplesOfHour) * Self.interval
        let request = Joblet_Persist_QueryMetricsRequest.with {
            $0.jobID = "\(job)"
            $0.startTime = first
            $0.endTime = first + Int64(Self.samplesOfHour - 1) * Self.interval
        }
        let start = ContinuousClock.now
        let count = try await history.queryMetrics(request) { response in
            var count = 0
            for try await _ in response.messages { count += 1 }
            return count
        }
        guard count == Self.samplesOfHour else { throw Wrong("QueryMetrics told \(count) samples of an hour") }
        return (ContinuousClock.now - start).milliseconds
    }

    /// Writes the samples of a day as a daemon does.
    private static func store(_ job: JobID, in directory: String) async throws {
        let store = try LocalGzipMetricStore(directory: directory)
        for hour in 0..<hours {
            let samples = (hour * samplesOfHour..<(hour + 1) * samplesOfHour).map(sample)
            try await store.append(samples, to: job)
            _ = try await store.sync([job])
        }
        try await store.finish(job)
    }

    /// The figures of a job that keeps two cores half busy.
    private static func sample(_ number: Int) -> MetricSample {
        let wave = sin(Double(number) / 40)
        let busy = 90 + 20 * wave
        let points = [
            MetricPoint(
                type: .cpu,
                values: [
                    "cpu_usage_usec": Double(number * 4_700_113), "cpu_user_usec": Double(number * 4_100_057),
                    "cpu_system_usec": Double(number * 600_056), "cpu_user": busy * 0.87, "cpu_system": busy * 0.13,
                    "cpu_total": busy, "cpu_percent": busy, "cpu_nr_periods": Double(number * 50),
                    "cpu_nr_throttled": Double(number / 9), "cpu_throttled_usec": Double(number * 331),
                ]),
            MetricPoint(
                type: .memory,
                values: [
                    "memory_current": 310_000_000 + (wave * 4096).rounded() * 4096, "memory_peak": 412_000_256,
                    "memory_max": 536_870_912, "memory_rss": 280_000_000 + (wave * 4000).rounded() * 4096,
                    "memory_file": 22_000_640, "memory_percent": 57.7 + wave, "memory_pgfault": Double(number * 173),
                    "memory_pgmajfault": Double(number / 60),
                ]),
            MetricPoint(
                type: .io,
                values: [
                    "io_read_bytes": Double(number) * 40_960, "io_write_bytes": Double(number) * 1_228_800,
                    "io_read_ops": Double(number * 10), "io_write_ops": Double(number * 75), "io_read_bps": 8192,
                    "io_write_bps": 245_760 + (wave * 100).rounded() * 512,
                ]),
            MetricPoint(
                type: .process,
                values: [
                    "process_current": 12, "process_threads": 48, "process_running": 2, "process_sleeping": 10,
                    "process_open_fds": 210 + (wave * 20).rounded(),
                ]),
        ]
        return MetricSample(sequence: UInt64(number), time: firstTime + Int64(number) * interval, points: points)
    }

    /// Has the kernel forget what it keeps of the files, so that they are read from the disk.
    private static func dropPages(of directory: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: directory) {
            let file = open("\(directory)/\(name)", O_RDONLY)
            guard file >= 0 else { throw Wrong("\(directory)/\(name): error \(errno)") }
            defer { close(file) }
            // What is not written yet would stay.
            guard fsync(file) == 0, posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0 else {
                throw Wrong("\(directory)/\(name): error \(errno)")
            }
        }
    }
}
