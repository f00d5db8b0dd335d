import DaemonSupport
import Foundation
import GRPCCore
import Glibc
import JobletAPI
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

/// What the environment says about a run; each run prints the first two.
private enum FaultOptions {
    /// How long faults are made for each pair of backends: `JOBLET_FAULT_SECONDS`.
    static let seconds = number("JOBLET_FAULT_SECONDS").map { max(1, Int($0)) } ?? 30
    /// Where all that is random comes from: `JOBLET_FAULT_SEED`.
    static let seed = number("JOBLET_FAULT_SEED") ?? 7
    /// A directory for what the daemons log: `JOBLET_FAULT_LOGS`.
    static let logs = ProcessInfo.processInfo.environment["JOBLET_FAULT_LOGS"]

    private static func number(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }
}

/// Jobs run for minutes while everything around them is killed and cut.
@Suite(.enabled(if: Host.isRoot, "needs root"), .serialized, .timeLimit(.minutes(15 + FaultOptions.seconds / 60)))
struct FaultTests {
    @Test(arguments: BackendPair.allCases)
    func `whatever is killed and cut, nothing is lost, doubled or left behind`(_ pair: BackendPair) async throws {
        let seed = FaultOptions.seed
        print("\(pair.rawValue): JOBLET_FAULT_SEED=\(seed) JOBLET_FAULT_SECONDS=\(FaultOptions.seconds)")
        let storage = try pair.makeStorage()
        let daemon = try DaemonProcess(
            storage.settings.merging([
                "storage.mode": "workers", "storage.query.address": "\"\"", "storage.startDegraded": "true",
                // Samples and segments of the outbox come and go often.
                "metrics.interval": "100ms", "outbox.segmentBytes": "256KiB", "joblet.maxConcurrentJobs": "0",
            ]) { $1 })
        for (name, value) in storage.environment { daemon.setEnvironment(name, value) }
        do {
            try await FaultRun(daemon: daemon, storage: storage, seed: seed).run()
        } catch {
            Issue.record("\(error)")
        }
        if let logs = FaultOptions.logs {
            try daemon.output.write(toFile: "\(logs)/\(pair.rawValue).log", atomically: false, encoding: .utf8)
        }
        await daemon.end()
    }
}

/// One run of jobs through faults.
private struct FaultRun {
    /// The first jobs write for most of the time.
    private static let longJobs = 3
    /// How long what was interrupted may take to come to rest: workers and shippers wait longer after each failure.
    private static let patience = Duration.seconds(120)

    let daemon: DaemonProcess
    let storage: any FaultyStorage
    let seed: UInt64

    func run() async throws {
        try await daemon.start()
        // What the first job leaves is there for good: a supervisor, and its pump.
        let first = try await daemon.connect { client in
            let first = try await client.shell("echo first").jobUuid
            _ = try await client.end(of: first)
            return first
        }
        await rest { names(in: "\(daemon.dataDirectory)/outbox").isEmpty && daemon.remains.groups.isEmpty }
        let before = try await settled()

        let end = ContinuousClock.now + .seconds(FaultOptions.seconds)
        let injector = FaultInjector(daemon, storage, seed: seed, until: end)
        let accepted = try await withThrowingTaskGroup(of: [String: FaultJob].self) { group in
            group.addTask {
                try await injector.run()
                return [:]
            }
            group.addTask { try await submit(until: end) }
            // Where one fails, the other would wait for a daemon that does not come back.
            return try await group.reduce(into: [:]) { $0.merge($1) { $1 } }
        }
        print("\(accepted.count) jobs; \(injector.summary)")

        try await endAll()
        var difference: [String] = []
        await rest {
            difference = Footprint(daemon).difference(to: before)
            return difference.isEmpty
        }
        #expect(difference == [], "left behind, or gone, after the faults")

        #expect(await daemon.stop(SIGTERM) == 0)
        #expect(daemon.workers("persist") == [] && daemon.workers("state") == [])
        for program in ["persist", "state"] {
            let found = try await runProgram(
                Products.path(program), ["storage", "verify", "--config", daemon.configurationPath],
                environment: storage.environment)
            #expect(found.status == 0, "\(program) storage verify: \(found.output)")
        }
        try await daemon.start()
        // It starts without its workers.
        await rest { (try? await daemon.connect { try await $0.persist.ping(.init()).healthy }) == true }
        try await verify(accepted, besides: first)
        await rest { journalIsDrained }
        #expect(journalIsDrained, "\(names(in: "\(daemon.dataDirectory)/journal"))")
        try await deleteAll()
    }

    /// What the daemon holds once that stays: its links to a worker come one after the other.
    private func settled() async throws -> Footprint {
        var last = Footprint(daemon)
        while true {
            // Longer than a link waits before it tries again.
            try await Task.sleep(for: .seconds(2))
            let now = Footprint(daemon)
            if now.difference(to: last).isEmpty { return now }
            last = now
        }
    }

    private func job(_ number: Int) -> FaultJob {
        FaultJob(number, seed: seed, long: FaultRun.longJobs, seconds: FaultOptions.seconds)
    }

    // MARK: While faults are made

    /// Runs jobs until the time is over, follows some of them and stops those that are to be stopped; returns those
    /// that were accepted, by id.
    private func submit(until end: ContinuousClock.Instant) async throws -> [String: FaultJob] {
        var generator = SeededGenerator(seed: seed ^ 0x5eed)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            var accepted: [String: FaultJob] = [:]
            while ContinuousClock.now < end {
                let job = job(accepted.count)
                // A call that was cut off may or may not have started a job: it is asked for again.
                let id = try await insistently { try await $0.jobs.runJob(job.request).jobUuid }
                accepted[id] = job
                if job.kind == .stopped {
                    group.addTask { try await stop(id) }
                } else if job.number % 3 == 0 {
                    group.addTask { job.expectOutput(try await follow(id), "followed") }
                }
                try await Task.sleep(for: .milliseconds(Int.random(in: 50...500, using: &generator)))
            }
            // Nobody waits for a job that was stopped before it was asked for again: they are ended later.
            try await group.waitForAll()
            return accepted
        }
    }

    /// The job's output, by stream, as a viewer sees it who comes back to where the connection was lost.
    private func follow(_ id: String) async throws -> [Int32: Data] {
        var position: UInt64 = 0
        var streams: [Int32: Data] = [:]
        while true {
            let start = position
            let (chunks, isWhole) = try await daemon.chunks(of: id, from: start)
            for chunk in chunks {
                #expect(chunk.position == position, "a viewer of job \(id) at \(position)")
                position = chunk.position + UInt64(chunk.payload.count)
                streams[chunk.stream, default: Data()] += chunk.payload
            }
            if isWhole { return streams }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func stop(_ id: String) async throws {
        try await insistently { client in
            do {
                _ = try await client.jobs.stopJob(.with { $0.uuid = id })
            } catch let error as RPCError where error.code == .failedPrecondition {
                // A call before it, whose answer was cut off.
            }
        }
    }

    /// Calls until there is an answer.
    private func insistently<Value: Sendable>(_ call: (DaemonClient) async throws -> Value) async throws -> Value {
        while true {
            do {
                return try await daemon.connect(call)
            } catch let error as RPCError where error.isPassing {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    // MARK: Afterwards

    /// Waits until all jobs have ended; stops those that wait for it.
    private func endAll() async throws {
        for job in try await insistently({ try await $0.jobs.listJobs(.init()).jobs }) {
            if let number = Int(job.name), self.job(number).kind == .stopped { try await stop(job.uuid) }
        }
        await rest {
            let jobs = (try? await daemon.connect { try await $0.jobs.listJobs(.init()).jobs }) ?? []
            return !jobs.isEmpty && jobs.allSatisfy { ["COMPLETED", "FAILED", "STOPPED"].contains($0.status) }
        }
    }

    private func verify(_ accepted: [String: FaultJob], besides first: String) async throws {
        try await daemon.connect { client in
            let listed = try await client.jobs.listJobs(.init()).jobs
            #expect(Set(listed.map(\.uuid)).count == listed.count)
            #expect(Set(accepted.keys).isSubset(of: listed.map(\.uuid)), "jobs are missing")
            for entry in listed where entry.uuid != first {
                let number = try #require(Int(entry.name))
                let job = job(number)
                job.expectEnd(try await client.status(entry.uuid), "stored")
                var position: UInt64 = 0
                var streams: [Int32: Data] = [:]
                for chunk in try await client.chunks(entry.uuid) {
                    #expect(chunk.position == position, "job \(number)")
                    position += UInt64(chunk.payload.count)
                    streams[chunk.stream, default: Data()] += chunk.payload
                }
                job.expectOutput(streams, "stored")
                let samples = try await client.samples(entry.uuid)
                #expect(samples.map(\.sequence) == Array(0..<UInt64(samples.count)), "samples of job \(number)")
                let times = samples.map(\.timestampNanoseconds)
                #expect(times == times.sorted(), "samples of job \(number)")
                if let last = samples.last { #expect(last.process.current == 0, "samples of job \(number)") }
                #expect(!samples.isEmpty || job.kind == .missing || job.kind == .stopped, "job \(number), \(job.kind)")
            }
        }
    }

    /// A daemon begins a new file; the earlier ones go with their last entry.
    private var journalIsDrained: Bool {
        let files = names(in: "\(daemon.dataDirectory)/journal")
        let bytes = files.map {
            (try? FileManager.default.attributesOfItem(atPath: "\(daemon.dataDirectory)/journal/\($0)")[.size] as? Int)
                ?? 0
        }
        return bytes == [0]
    }

    private func deleteAll() async throws {
        try await daemon.connect { client in
            let jobs = try await client.jobs.listJobs(.init()).jobs
            #expect(try await client.jobs.deleteAllJobs(.init()).deletedCount == Int32(jobs.count))
            #expect(try await client.jobs.listJobs(.init()).jobs == [])
            // Gone from the stores, too.
            for job in jobs {
                await rest {
                    do {
                        return try await client.lines(job.uuid).isEmpty
                    } catch {
                        return (error as? RPCError)?.code == .notFound
                    }
                }
            }
        }
    }

    /// Waits until `condition` holds, which no call and no event tells.
    private func rest(until condition: () async throws -> Bool) async rethrows {
        let deadline = ContinuousClock.now + FaultRun.patience
        while ContinuousClock.now < deadline {
            if try await condition() { return }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }
}

extension RPCError {
    /// Whether the same call may succeed in a moment.
    fileprivate var isPassing: Bool {
        [.unavailable, .unknown, .cancelled, .aborted, .deadlineExceeded, .resourceExhausted].contains(code)
    }
}

extension DaemonProcess {
    /// The job's log from a position on, as far as it came; whether that was its end.
    fileprivate func chunks(
        of job: String, from position: UInt64
    ) async throws -> (chunks: [Joblet_DataChunk], isWhole: Bool) {
        let seen = Mutex<[Joblet_DataChunk]>([])
        do {
            try await connect { client in
                try await client.jobs.getJobLogs(
                    .with {
                        $0.uuid = job
                        $0.fromPosition = position
                    }
                ) { response in
                    for try await chunk in response.messages { seen.withLock { $0.append(chunk) } }
                }
            }
            return (seen.withLock { $0 }, true)
        } catch let error as RPCError where error.isPassing {
            return (seen.withLock { $0 }, false)
        }
    }
}
