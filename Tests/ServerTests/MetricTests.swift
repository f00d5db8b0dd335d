import DaemonSupport
import Foundation
import GRPCCore
import Glibc
import JobletAPI
import Storage
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

extension DaemonTests {
    @Suite struct MetricTests {}
}

extension DaemonTests.MetricTests {
    @Test func `what a job burns and holds is what GetJobMetrics says, live and stored`() async throws {
        try await DaemonProcess.run(["metrics.interval": "50ms"]) { daemon in
            try await daemon.connect { client in
                // 64 MiB in /tmp, which is memory, and a busy loop of a second or more; it reports its own CPU time.
                let script = """
                    head -c 67108864 /dev/zero > /tmp/block; echo held
                    i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; times; read go < fifo
                    """
                let job = try await client.shell("mkfifo fifo; \(script)") {
                    $0.maxMemory = 256
                    $0.maxCpu = 100
                    $0.keepWork = true
                }.jobUuid
                async let following = client.samples(job)
                try await client.waitForOutput("s\n", of: job)
                try writeLine("go", toPipe: "\(daemon.dataDirectory)/work/\(job)/fifo")
                let live = try await following
                #expect(try await client.end(of: job).status == "COMPLETED")
                #expect(live.map(\.sequence) == Array(0..<UInt64(live.count)))
                #expect(live.allSatisfy { $0.jobID == job && $0.sampleIntervalSeconds == 1 })
                #expect(live.allSatisfy { $0.timestamp == $0.timestampNanoseconds / 1_000_000_000 })
                #expect(live.allSatisfy { $0.limits.memory == 256 << 20 && $0.limits.cpu == 100 })
                for (before, after) in zip(live, live.dropFirst()) {
                    #expect(before.timestampNanoseconds <= after.timestampNanoseconds)
                    #expect(before.cpu.usageUsec <= after.cpu.usageUsec)
                }
                // Memory: the block, and not much else.
                let held = try #require(live.map(\.memory.current).max())
                #expect((64 << 20...100 << 20).contains(held))
                let last = try #require(live.last)
                #expect(last.memory.peak >= held)
                #expect(last.memory.max == 256 << 20)
                // CPU: what the job's own shell says it used, and never more than the limit allows for long.
                let burnt = try await client.burnt(job)
                #expect(Double(last.cpu.usageUsec) > burnt * 0.9e6)
                #expect(Double(last.cpu.usageUsec) < burnt * 1.1e6 + 500_000)
                // The rates add up to it, however much of a processor the job was given.
                let rated = zip(live, live.dropFirst()).reduce(0.0) { sum, pair in
                    let nanoseconds = pair.1.timestampNanoseconds - pair.0.timestampNanoseconds
                    return sum + Double(pair.1.cpu.usagePercent) / 100 * Double(nanoseconds) / 1000
                }
                let used = Double(last.cpu.usageUsec - live[0].cpu.usageUsec)
                #expect(abs(rated - used) < 0.3 * used + 200_000)
                #expect(live.contains { $0.process.current >= 1 && $0.process.threads >= 1 && $0.process.openFds > 0 })
                #expect(last.process.current == 0)
                #expect(!last.hasNetwork && last.gpu.isEmpty)
                #expect(await holds { !FileManager.default.fileExists(atPath: last.cgroupPath) })
                #expect(last.cgroupPath.hasSuffix("job-\(job)"))
                // History is what was live, whole and in part.
                #expect(try await client.samples(job) == live)
                let (from, to) = (live[1].timestampNanoseconds, live[live.count - 2].timestampNanoseconds)
                let part = try await client.samples(job) {
                    $0.since = from
                    $0.until = to
                }
                #expect(part == live.filter { (from...to).contains($0.timestampNanoseconds) })
                #expect(try await client.samples(String(job.prefix(8))) == live)
            }
        }
    }

    @Test func `samples are files of JSON lines that zcat shows, and go with their job`() async throws {
        // Only what is taken at the start and at the end of a job.
        try await DaemonProcess.run(["metrics.interval": "60s"]) { daemon in
            try await daemon.connect { client in
                let job = try await client.run("true").jobUuid
                _ = try await client.end(of: job)
                let directory = "\(daemon.dataDirectory)/metrics/\(job)"
                // The outbox goes once the store has everything.
                #expect(eventually { daemon.entries("outbox").isEmpty && daemon.entries("metrics/\(job)").count == 1 })
                let name = try #require(daemon.entries("metrics/\(job)").first)
                let zcat = try ChildProcess("/bin/zcat", ["\(directory)/\(name)"])
                #expect(await zcat.end() == 0)
                let lines = try zcat.output.split(separator: "\n").map { line in
                    try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                }
                let first = try #require(lines.first)
                #expect("\(first["timestamp"] as? Int ?? 0).jsonl.gz" == name)
                #expect(Set(lines.compactMap { $0["sequence"] as? Int }) == [0, 1])
                let types = Set(lines.compactMap { $0["metric_type"] as? String })
                #expect(types.isSuperset(of: ["cpu", "memory", "process"]))
                let cpu = lines.last { $0["metric_type"] as? String == "cpu" }?["values"] as? [String: Double]
                #expect(
                    Set(["cpu_user", "cpu_system", "cpu_total", "cpu_percent"]).isSubset(of: Set((cpu ?? [:]).keys)))
                _ = try await client.jobs.deleteJob(.with { $0.uuid = job })
                #expect(eventually { daemon.entries("metrics") == ["deleted"] })
            }
        }
    }

    @Test func `unknown jobs and wrong ranges are refused, and a viewer may look`() async throws {
        try await DaemonProcess.run(["metrics.interval": "60s"]) { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.run("true").jobUuid
                _ = try await client.end(of: job)
                for unknown in ["f47ac10b-58cc-4372-a567-0e02b2c3d479", "nonsense"] {
                    await expectRefusal(.notFound, "job not found: \(unknown)") { try await client.samples(unknown) }
                }
                await expectRefusal(.invalidArgument, "uuid is required") { try await client.samples("") }
                await expectRefusal(.invalidArgument, "since and until cannot be negative") {
                    try await client.samples(job) { $0.since = -1 }
                }
                return job
            }
            let seen = try await daemon.connect(as: .viewer) { try await $0.samples(job) }
            #expect(seen.count == 2)
        }
    }

    @Test(arguments: ["local-gzip", "sqlite"])
    func `samples of a running job are there after a restart, and go on`(_ backend: String) async throws {
        try await DaemonProcess.run(["metrics.interval": "20ms", "storage.metrics.backend": backend]) { daemon in
            let (job, before) = try await daemon.connect { client in
                let job = try await client.shell("mkfifo fifo; read go < fifo") { $0.keepWork = true }.jobUuid
                return (job, try await client.samples(job, count: 30))
            }
            await daemon.stop(SIGKILL)
            try await daemon.start()
            try await daemon.connect { client in
                let seen = try await client.samples(job, count: 60)
                #expect(Array(seen.prefix(before.count)) == before)
                try writeLine("go", toPipe: "\(daemon.dataDirectory)/work/\(job)/fifo")
                let all = try await client.samples(job)
                #expect(Array(all.prefix(seen.count)) == seen)
                #expect(all.map(\.sequence) == Array(0..<UInt64(all.count)))
                #expect(all.last?.process.current == 0)
            }
        }
    }

    /// Each place between reading a sample and removing it from the outbox.
    @Test(arguments: [
        "metrics.beforeCreate=kill", "metrics.afterCreate=kill", "metrics.beforeAppend=kill",
        "metrics.beforeAppend=kill@5", "metrics.afterAppend=kill", "metrics.afterAppend=kill@17",
        "metrics.beforeShip=kill", "metrics.beforeShip=kill@2", "metrics.beforeSync=kill", "metrics.beforeRelease=kill",
        "metrics.beforeUnlink=kill",
    ])
    func `no sample is lost or doubled wherever the daemon is killed`(_ failPoint: String) async throws {
        let daemon = try DaemonProcess(["metrics.interval": "20ms"])
        do {
            try await daemon.start(failPoint: failPoint)
            let seen = Mutex<[Joblet_JobMetricsSample]>([])
            await #expect(throws: (any Error).self, "the daemon did not fail") {
                try await daemon.connect { client in
                    // Long enough for seventeen samples, however late they are.
                    let job = try await client.run("sleep", failPoint.hasSuffix("@17") ? "10" : "1").jobUuid
                    try await client.jobs.getJobMetrics(.with { $0.uuid = job }) { response in
                        for try await sample in response.messages { seen.withLock { $0.append(sample) } }
                    }
                    // The end of the outbox comes after the last sample.
                    while true { _ = try await client.status(job) }
                }
            }
            #expect(await daemon.process?.end() == -SIGKILL)
            try await daemon.start()
            try await daemon.connect { client in
                let job = try #require(try await client.jobs.listJobs(.init()).jobs.first?.uuid)
                #expect(try await client.end(of: job).status == "COMPLETED")
                let all = try await client.samples(job)
                let live = seen.withLock { $0 }
                #expect(Array(all.prefix(live.count)) == live)
                #expect(all.map(\.sequence) == Array(0..<UInt64(all.count)))
                #expect(all.last?.process.current == 0)
                #expect(eventually { daemon.entries("outbox").isEmpty })
                #expect(try await client.samples(job) == all)
            }
            await daemon.end()
        } catch {
            await daemon.end()
            throw error
        }
    }
}

extension DaemonClient {
    /// The job's samples; of a running job once it has ended.
    func samples(
        _ job: String, configure: (inout Joblet_JobMetricsRequest) -> Void = { _ in }
    ) async throws -> [Joblet_JobMetricsSample] {
        var request = Joblet_JobMetricsRequest()
        request.uuid = job
        configure(&request)
        return try await jobs.getJobMetrics(request) { response in
            var samples: [Joblet_JobMetricsSample] = []
            for try await sample in response.messages { samples.append(sample) }
            return samples
        }
    }

    /// The job's samples as soon as there are `count`.
    fileprivate func samples(_ job: String, count: Int) async throws -> [Joblet_JobMetricsSample] {
        try await jobs.getJobMetrics(.with { $0.uuid = job }) { response in
            var samples: [Joblet_JobMetricsSample] = []
            for try await sample in response.messages {
                samples.append(sample)
                if samples.count == count { break }
            }
            return samples
        }
    }

    /// Seconds of CPU that a shell's `times` printed: of itself and of its children, user and system.
    fileprivate func burnt(_ job: String) async throws -> Double {
        try await text(job).split(whereSeparator: \.isWhitespace).reduce(0) { sum, word in
            guard word.hasSuffix("s"), let minutes = word.split(separator: "m").first.flatMap({ Double($0) }),
                let seconds = word.split(separator: "m").last.flatMap({ Double($0.dropLast()) })
            else { return sum }
            return sum + minutes * 60 + seconds
        }
    }
}
