import DaemonSupport
import Foundation
import GRPCCore
import JobletAPI
import SwiftProtobuf
import Testing

extension DaemonTests {
    @Suite(.daemon()) struct JobServiceTests {}
}

extension DaemonTests.JobServiceTests {
    /// The calls that take the id of a job.
    enum Call: String, CaseIterable, Sendable {
        case status, stop, cancel, delete, logs

        func make(_ uuid: String, _ client: DaemonClient) async throws {
            switch self {
            case .status: _ = try await client.jobs.getJobStatus(.with { $0.uuid = uuid })
            case .stop: _ = try await client.jobs.stopJob(.with { $0.uuid = uuid })
            case .cancel: _ = try await client.jobs.cancelJob(.with { $0.uuid = uuid })
            case .delete: _ = try await client.jobs.deleteJob(.with { $0.uuid = uuid })
            case .logs: _ = try await client.log(uuid)
            }
        }
    }

    @Test(arguments: Call.allCases)
    func `an id of no job is refused`(call: Call) async throws {
        try await SharedDaemon.current.connect { client in
            let unknown = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
            await expectRefusal(.notFound, "job not found: \(unknown)") { try await call.make(unknown, client) }
            await expectRefusal(.notFound, "job not found: f47ac10b") { try await call.make("f47ac10b", client) }
            await expectRefusal(.invalidArgument, "uuid is required") { try await call.make("", client) }
        }
    }

    @Test(
        "a text that is no id is refused",
        arguments: ["../../etc/passwd", "/etc/passwd", ".", "%2e%2e", "f47ac10b-58cc-4372-a567-0e02b2c3d479/..", "G"])
    func noID(_ text: String) async throws {
        try await SharedDaemon.current.connect { client in
            for call in Call.allCases {
                await expectRefusal(.notFound, "job not found: \(text)") { try await call.make(text, client) }
            }
        }
    }

    @Test func `RunJob answers with every field`() async throws {
        try await SharedDaemon.current.connect { client in
            let before = Date()
            let job = try await client.run("sleep", "100") { request in
                request.maxCpu = 50
                request.maxMemory = 64
            }
            #expect(UUID(uuidString: job.jobUuid) != nil)
            #expect(job.jobUuid == job.jobUuid.lowercased())
            #expect(job.status == "INITIALIZING")
            #expect(job.command == "sleep")
            #expect(job.args == ["100"])
            #expect(job.maxCpu == 50)
            #expect(job.maxMemory == 64)
            #expect(job.network == "none")
            #expect(job.endTime == "")
            #expect(job.exitCode == 0)
            let start = try #require(ISO8601DateFormatter().date(from: job.startTime), "\(job.startTime)")
            #expect(abs(start.timeIntervalSince(before)) < 60)
            #expect(job.nodeID == (try await client.node.getNodeInfo(.init())).nodeID)
            _ = try await client.jobs.stopJob(.with { $0.uuid = job.jobUuid })
        }
    }

    @Test func `a stopped job is STOPPED with exit code -1, and ends only once`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.run("sleep", "100").jobUuid
            // The first eight characters are what people type.
            let stopped = try await client.jobs.stopJob(.with { $0.uuid = String(job.prefix(8)) })
            #expect(stopped.uuid == job)
            #expect(stopped.status == "STOPPED")
            #expect(stopped.exitCode == -1)
            #expect(stopped.reason == "stopped")
            let status = try await client.status(job)
            #expect(status.endTime == stopped.endTime)
            #expect(ISO8601DateFormatter().date(from: stopped.endTime) != nil, "\(stopped.endTime)")
            #expect(status.status == "STOPPED")
            #expect(status.exitCode == -1)
            await expectRefusal(
                .failedPrecondition, "job is not running: \(job) (current status: STOPPED)"
            ) { try await client.jobs.stopJob(.with { $0.uuid = job }) }
        }
    }

    @Test func `a job that ended cannot be stopped or canceled`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.run("true").jobUuid
            let end = try await client.end(of: job)
            #expect(end.status == "COMPLETED")
            #expect(end.exitCode == 0)
            await expectRefusal(
                .failedPrecondition, "job is not running: \(job) (current status: COMPLETED)"
            ) { try await client.jobs.stopJob(.with { $0.uuid = job }) }
            await expectRefusal(.failedPrecondition, "Job is not scheduled (current status: COMPLETED)") {
                try await client.jobs.cancelJob(.with { $0.uuid = job })
            }
        }
    }

    @Test func `a job that runs cannot be deleted or canceled`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell("echo runs; exec sleep 100").jobUuid
            try await client.waitForOutput("runs", of: job)
            await expectRefusal(
                .failedPrecondition, "Cannot delete running job \(job) (current status: RUNNING): stop the job first"
            ) { try await client.jobs.deleteJob(.with { $0.uuid = job }) }
            await expectRefusal(.failedPrecondition, "Job is not scheduled (current status: RUNNING)") {
                try await client.jobs.cancelJob(.with { $0.uuid = job })
            }
            _ = try await client.jobs.stopJob(.with { $0.uuid = job })
        }
    }

    @Test func `a deleted job is gone with its log`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let job = try await client.run("echo", "bye").jobUuid
            #expect(try await client.text(job) == "bye\n")
            _ = try await client.end(of: job)
            let answer = try await client.jobs.deleteJob(.with { $0.uuid = String(job.prefix(8)) })
            #expect(answer.uuid == job)
            #expect(answer.success)
            #expect(answer.message == "Job deleted successfully")
            for call in Call.allCases {
                await expectRefusal(.notFound, "job not found: \(job)") { try await call.make(job, client) }
            }
            let listed = try await client.jobs.listJobs(.init())
            #expect(!listed.jobs.contains { $0.uuid == job })
            #expect(await holds { !names(in: "\(daemon.dataDirectory)/logs").contains(job) })
        }
    }

    @Test func `a prefix of one job's id stands for it, and a prefix of several names them`() async throws {
        try await SharedDaemon.current.connect { client in
            // Of seventeen ids two begin with the same digit.
            var ids: [String] = []
            for _ in 0..<17 { ids.append(try await client.run("true").jobUuid) }
            for id in ids { _ = try await client.end(of: id) }
            let all = try await client.jobs.listJobs(.init()).jobs.map(\.uuid)
            let prefix = try #require(Dictionary(grouping: ids) { $0.prefix(1) }.first { $0.value.count > 1 }?.key)
            let candidates = all.filter { $0.hasPrefix(prefix) }
            for call in Call.allCases {
                let names =
                    candidates.sorted().prefix(10).joined(separator: ", ") + (candidates.count > 10 ? ", …" : "")
                await expectRefusal(.invalidArgument, "job id \(prefix) is ambiguous: \(names)") {
                    try await call.make(String(prefix), client)
                }
            }
            // The daemon has jobs of other tests, too: only this one's are known to have said nothing.
            let id = try #require(ids.first { $0.hasPrefix(prefix) })
            let length = try #require((1...36).first { count in all.count { $0.hasPrefix(id.prefix(count)) } == 1 })
            let unique = String(id.prefix(length))
            #expect(try await client.status(unique).uuid == id)
            #expect(try await client.status(unique.uppercased()).uuid == id)
            #expect(try await client.log(unique).isEmpty)
            #expect(try await client.jobs.deleteJob(.with { $0.uuid = unique }).uuid == id)
        }
    }

    @Test func `what does not exist yet is refused by its name`() async throws {
        try await SharedDaemon.current.connect { client in
            func refused<Value: Sendable>(
                _ feature: String, _ location: SourceLocation = #_sourceLocation, _ call: () async throws -> Value
            ) async {
                await expectRefusal(
                    .unimplemented, "\(feature) are not available on this server", sourceLocation: location, call)
            }
            await refused("workflows") { try await client.jobs.runWorkflow(.init()) }
            await refused("workflows") { try await client.jobs.getWorkflowStatus(.init()) }
            await refused("workflows") { try await client.jobs.listWorkflows(.init()) }
            await refused("workflows") { try await client.jobs.getWorkflowJobs(.init()) }
            await refused("networks") { try await client.networks.createNetwork(.init()) }
            await refused("networks") { try await client.networks.listNetworks(.init()) }
            await refused("networks") { try await client.networks.removeNetwork(.init()) }
            await refused("volumes") { try await client.volumes.createVolume(.init()) }
            await refused("volumes") { try await client.volumes.listVolumes(.init()) }
            await refused("volumes") { try await client.volumes.removeVolume(.init()) }
            await refused("runtimes") { try await client.runtimes.listRuntimes(.init()) }
            await refused("runtimes") { try await client.runtimes.getRuntimeInfo(.init()) }
            await refused("runtimes") { try await client.runtimes.testRuntime(.init()) }
            await refused("runtimes") { try await client.runtimes.validateRuntimeSpec(.init()) }
            await refused("runtimes") { try await client.runtimes.removeRuntime(.init()) }
            await refused("runtimes") { try await client.runtimes.installRuntimeFromGithub(.init()) }
            await refused("runtimes") { try await client.runtimes.installRuntimeFromLocal(.init()) }
            await refused("runtimes") {
                try await client.runtimes.streamingInstallRuntimeFromGithub(.init()) {
                    for try await _ in $0.messages {}
                }
            }
            await refused("runtimes") {
                try await client.runtimes.streamingInstallRuntimeFromLocal(.init()) {
                    for try await _ in $0.messages {}
                }
            }
            await refused("system metrics") {
                try await client.monitoring.streamSystemMetrics(.init()) { for try await _ in $0.messages {} }
            }
            let status = try await client.monitoring.getSystemStatus(.init())
            #expect(!status.available)
            #expect(status.serverVersion.component == "joblet")
            #expect(status.serverVersion.version != "")
        }
    }
}

extension DaemonTests {
    @Suite struct JobListTests {
        @Test func `several that delete all jobs at once delete each once`() async throws {
            try await DaemonProcess.run { daemon in
                try await daemon.connect { client in
                    for _ in 0..<10 { _ = try await client.end(of: client.run("true").jobUuid) }
                    let deleted = try await withThrowingTaskGroup(of: Int32.self) { group in
                        for _ in 0..<5 {
                            group.addTask { try await client.jobs.deleteAllJobs(.init()).deletedCount }
                        }
                        return try await group.reduce(0, +)
                    }
                    #expect(deleted == 10)
                    #expect(try await client.jobs.listJobs(.init()).jobs.isEmpty)
                }
            }
        }

        @Test func `a list has all fields and the order of starts, and delete-all keeps what runs`() async throws {
            try await DaemonProcess.run { daemon in
                try await daemon.connect { client in
                    let node = try await client.node.getNodeInfo(.init()).nodeID
                    let failing = try await client.shell("exit 3") { request in
                        request.name = "first"
                        request.maxCpu = 70
                        request.maxMemory = 33
                        request.environment = ["MODE": "test"]
                        request.secretEnvironment = ["TOKEN": "hidden"]
                        request.labels = ["team": "blue"]
                        request.timeout = "1m30s"
                    }
                    let others = try await [client.run("true").jobUuid, client.run("sleep", "100").jobUuid]
                    for id in [failing.jobUuid, others[0]] { _ = try await client.end(of: id) }

                    let jobs = try await client.jobs.listJobs(.init()).jobs
                    #expect(jobs.map(\.uuid) == [failing.jobUuid] + others)
                    #expect(jobs.map(\.status) == ["FAILED", "COMPLETED", "RUNNING"])
                    #expect(jobs.map(\.exitCode) == [3, 0, 0])
                    let first = try #require(jobs.first)
                    #expect(first.name == "first")
                    #expect(first.command == "sh")
                    #expect(first.args == ["-c", "exit 3"])
                    #expect(first.maxCpu == 70)
                    #expect(first.maxMemory == 33)
                    #expect(first.environment == ["MODE": "test"])
                    #expect(first.secretEnvironment == ["TOKEN": "***"])
                    #expect(first.labels == ["team": "blue"])
                    #expect(first.timeout == "90s")
                    #expect(first.nodeID == node)
                    #expect(first.network == "none")
                    #expect(first.reason == "")
                    #expect(first.createdAtNs > 0)
                    #expect(first.startedAtNs >= first.createdAtNs)
                    #expect(first.endedAtNs >= first.startedAtNs)
                    let format = ISO8601DateFormatter()
                    #expect(
                        format.date(from: first.startTime)?.timeIntervalSince1970
                            == Double(first.startedAtNs / 1_000_000_000))
                    #expect(
                        format.date(from: first.endTime)?.timeIntervalSince1970
                            == Double(first.endedAtNs / 1_000_000_000))
                    #expect(jobs[1].maxCpu == 100)
                    #expect(jobs[1].maxMemory == 512)
                    #expect(jobs[2].pid > 0)
                    #expect(jobs[2].endTime == "")

                    let status = try await client.status(failing.jobUuid)
                    #expect(status.name == first.name)
                    #expect(status.args == first.args)
                    #expect(status.maxCpu == first.maxCpu)
                    #expect(status.maxMemory == first.maxMemory)
                    #expect(status.status == first.status)
                    #expect(status.startTime == first.startTime)
                    #expect(status.endTime == first.endTime)
                    #expect(status.exitCode == 3)
                    #expect(status.environment == first.environment)
                    #expect(status.secretEnvironment == ["TOKEN": "***"])
                    #expect(status.labels == first.labels)
                    #expect(status.timeout == "90s")
                    #expect(status.nodeID == node)
                    #expect(status.network == "none")
                    #expect(status.workDir == "/work")
                    #expect(status.durability == "process")

                    let deleted = try await client.jobs.deleteAllJobs(.init())
                    #expect(deleted.success)
                    #expect(deleted.deletedCount == 2)
                    #expect(deleted.skippedCount == 1)
                    #expect(deleted.message == "Successfully deleted 2 jobs, skipped 1 running/scheduled jobs")
                    #expect(try await client.jobs.listJobs(.init()).jobs.map(\.uuid) == [others[1]])
                }
            }
        }
    }
}
