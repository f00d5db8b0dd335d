import DaemonSupport
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import JobletAPI
import Storage
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    @Suite struct WorkersTests {}
}

extension DaemonTests.WorkersTests {
    private static let settings = ["storage.mode": "workers", "storage.query.address": "\"\""]

    @Test func `jobs are stored through the workers, which end with the daemon`() async throws {
        try await DaemonProcess.run(Self.settings) { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.shell("echo one; echo two >&2; echo three").jobUuid
                #expect(try await client.end(of: job).status == "COMPLETED")
                #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                #expect(try await client.text(job).split(separator: "\n").sorted() == ["one", "three", "two"])
                #expect(try await client.persist.ping(.init()).healthy)
                return job
            }
            #expect(names(in: "\(daemon.dataDirectory)/logs").contains(job))
            #expect(daemon.workers("persist").count == 1 && daemon.workers("state").count == 1)
            #expect(daemon.output.contains("[INFO] [PERSIST] listening"))
            #expect(await daemon.stop(SIGTERM) == 0)
            #expect(daemon.workers("persist") == [] && daemon.workers("state") == [])
            try await daemon.start()
            #expect(try await daemon.connect { try await $0.jobs.listJobs(.init()).jobs.map(\.uuid) } == [job])
            await daemon.stop(SIGKILL)
            #expect(eventually { daemon.workers("persist") == [] && daemon.workers("state") == [] })
        }
    }

    @Test func `workers killed again and again under jobs lose nothing`() async throws {
        try await DaemonProcess.run(Self.settings) { daemon in
            try await daemon.connect { client in
                var jobs: [String] = []
                for number in 0..<6 {
                    let script = "for i in $(seq 1 2000); do echo \(number) $i; done; exit \(number)"
                    jobs.append(try await client.shell(script).jobUuid)
                    for worker in ["persist", "state"] {
                        for pid in daemon.workers(worker) { kill(pid, SIGKILL) }
                    }
                    #expect(await holds { !daemon.workers("persist").isEmpty && !daemon.workers("state").isEmpty })
                }
                // A worker that runs need not serve yet, and who asks it then is told so.
                #expect(await holds { (try? await client.persist.ping(.init()).healthy) == true })
                for (number, job) in jobs.enumerated() {
                    let status = try await client.end(of: job)
                    #expect(status.exitCode == Int32(number))
                    let expected = (1...2000).map { "\(number) \($0)\n" }.joined()
                    #expect(try await client.text(job) == expected)
                }
                #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                for (number, job) in jobs.enumerated() {
                    let lines = try await client.lines(job)
                    #expect(
                        lines.map { String(decoding: $0.content, as: UTF8.self) }
                            == (1...2000).map { "\(number) \($0)" })
                }
                #expect(Set(try await client.jobs.listJobs(.init()).jobs.map(\.uuid)) == Set(jobs))
            }
        }
    }

    @Test func `without the log worker jobs run, live logs are whole, and what is missing is said`() async throws {
        try await DaemonProcess.run(Self.settings) { daemon in
            try await daemon.connect { client in
                let before = try await client.shell("echo before").jobUuid
                _ = try await client.end(of: before)
                #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                let hold = try Hold("\(daemon.runDirectory)/persist-ipc.sock.lock")
                for pid in daemon.workers("persist") { kill(pid, SIGKILL) }
                await hold.taken()
                let job = try await client.shell("seq 1 5000").jobUuid
                #expect(try await client.end(of: job).status == "COMPLETED")
                let expected = (1...5000).map { "\($0)\n" }.joined()
                let answer = try await client.jobs.getJobLogs(.with { $0.uuid = job }) { response in
                    var seen = Data()
                    do {
                        for try await chunk in response.messages {
                            seen += chunk.payload
                        }
                    } catch {
                        // Nothing of it is in the store, so nothing is missing.
                        Issue.record("\(error)")
                    }
                    return seen
                }
                #expect(String(decoding: answer, as: UTF8.self) == expected)
                do {
                    _ = try await client.text(before)
                    Issue.record("a log was read without its store")
                } catch let error as RPCError {
                    #expect(error.code == .unavailable)
                    #expect(error.message.contains("the storage worker persist cannot be reached"))
                }
                #expect(try await client.persist.ping(.init()).healthy == false)
                #expect(Set(try await client.jobs.listJobs(.init()).jobs.map(\.uuid)) == [before, job])
                hold.release()
                #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                // Reading has a connection of its own.
                #expect(await holds { (try? await client.persist.ping(.init()).healthy) == true })
                #expect(try await client.text(before) == "before\n")
                #expect(try await client.text(job) == expected)
            }
        }
    }

    @Test func `without the record worker jobs run, and lists say what is missing`() async throws {
        try await DaemonProcess.run(Self.settings) { daemon in
            try await daemon.connect { client in
                let hold = try Hold("\(daemon.runDirectory)/state-ipc.sock.lock")
                for pid in daemon.workers("state") { kill(pid, SIGKILL) }
                await hold.taken()
                let job = try await client.shell("echo there; exit 3").jobUuid
                let status = try await client.end(of: job)
                #expect(status.exitCode == 3)
                #expect(try await client.text(job) == "there\n")
                do {
                    _ = try await client.jobs.listJobs(.init())
                    Issue.record("records were listed without their store")
                } catch let error as RPCError {
                    #expect(error.code == .unavailable)
                    #expect(error.message.contains("the storage worker state cannot be reached"))
                }
                hold.release()
                #expect(
                    await holds { (try? await client.jobs.listJobs(.init()).jobs.map(\.uuid)) == [job] })
                #expect(try await client.status(job).exitCode == 3)
            }
        }
    }

    @Test func `a daemon told to starts without the record worker, and merges what it took once that is back`()
        async throws
    {
        let settings = Self.settings.merging(["storage.startDegraded": "true"]) { $1 }
        try await DaemonProcess.run(settings) { daemon in
            let running = try await daemon.connect { client in
                try await client.shell("echo one; until [ -e go ]; do sleep 0.01; done; exit 3") { $0.keepWork = true }
                    .jobUuid
            }
            await daemon.stop(SIGKILL)
            let hold = try Hold("\(daemon.runDirectory)/state-ipc.sock.lock")
            await hold.taken()
            try await daemon.start()
            try await daemon.connect { client in
                #expect(try await client.status(running).status == "RUNNING")
                let new = try await client.shell("echo new").jobUuid
                #expect(try await client.end(of: new).status == "COMPLETED")
                #expect(try await client.text(new) == "new\n")
                await expectUnavailable { _ = try await client.jobs.listJobs(.init()) }
                await expectUnavailable { _ = try await client.status(String(running.prefix(8))) }
                #expect(try await client.persist.ping(.init()).healthy == false)
                // Nothing waited for the log worker to serve.
                #expect(await holds { (try? await client.storage.getStorageStats(.init()).logs.problem) == "" })
                let stats = try await client.storage.getStorageStats(.init())
                #expect(stats.recordsProblem.contains("state"))
                #expect(stats.waitingRecords > 0)
                try Data().write(to: URL(filePath: "\(daemon.dataDirectory)/work/\(running)/go"))
                #expect(try await client.end(of: running).exitCode == 3)
                hold.release()
                #expect(
                    await holds {
                        Set((try? await client.jobs.listJobs(.init()).jobs.map(\.uuid)) ?? []) == [running, new]
                    })
                #expect(await holds { (try? await client.storage.getStorageStats(.init()).waitingRecords) == 0 })
                #expect(await holds { (try? await client.persist.ping(.init()).healthy) == true })
            }
            #expect(daemon.output.contains("starting without the store of job records"))
            #expect(await holds { daemon.output.contains("the store of job records has answered") })
        }
    }

    @Test func `a worker that cannot work is named with its reason, and the daemon does not start`() async throws {
        let daemon = try DaemonProcess(Self.settings)
        try FileManager.default.createDirectory(atPath: daemon.dataDirectory, withIntermediateDirectories: true)
        try Data("no directory".utf8).write(to: URL(filePath: "\(daemon.dataDirectory)/logs"))
        let process = try daemon.launch()
        #expect(await process.end() != 0)
        #expect(process.output.contains("the storage worker persist does not work"), "\(process.output)")
        #expect(process.output.contains("\(daemon.dataDirectory)/logs"), "\(process.output)")
        #expect(daemon.workers("persist") == [] && daemon.workers("state") == [])
        await daemon.end()
    }
}

extension DaemonTests.WorkersTests {
    @Test func `history is asked through the daemon, the worker's socket and its port`() async throws {
        let port = try freePort()
        let settings = ["storage.mode": "workers", "storage.query.address": "127.0.0.1:\(port)"]
        try await DaemonProcess.run(settings) { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.shell("echo out; sleep 1; echo err >&2; sleep 1; printf tail").jobUuid
                _ = try await client.end(of: job)
                #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                try await expectHistory(of: job, client)
                return job
            }
            try await daemon.connect(as: .viewer) { client in
                try await expectHistory(of: job, client)
                await expectRefusal(.permissionDenied, "role viewer is not allowed to perform operation delete_job") {
                    try await client.persist.deleteJob(.with { $0.jobID = job })
                }
            }
            try await daemon.connect(to: .ipv4(address: "127.0.0.1", port: port)) { client in
                try await expectHistory(of: job, client)
                let lines = try await client.lines(job)
                let logs = try await client.persist.queryLogs(.with { $0.jobID = job }) { try await trailers(of: $0) }
                #expect(Array(logs[stringValues: "joblet-answered-position"]) == ["12"])
                #expect(Array(logs[stringValues: "joblet-answered-time"]) == ["\(lines[2].timestamp)"])
                let samples = try await client.persist.queryMetrics(.with { $0.jobID = job }) { response in
                    try await trailers(of: response)
                }
                #expect(samples[stringValues: "joblet-answered-position"].contains { Int($0).map { $0 >= 2 } ?? false })
                await expectRefusal(
                    .permissionDenied,
                    "connections without a certificate may only read: use the Unix socket, or storage.query.tls"
                ) { try await client.persist.deleteJob(.with { $0.jobID = job }) }
            }
            try await daemon.connect(to: .unixDomainSocket(path: "\(daemon.runDirectory)/persist-grpc.sock")) {
                client in
                try await expectHistory(of: job, client)
                let empty = try await client.persist.deleteJob(.init())
                #expect(!empty.success && empty.message == "Job ID cannot be empty")
                let deleted = try await client.persist.deleteJob(.with { $0.jobID = String(job.prefix(13)) })
                #expect(deleted.success && deleted.message == "Logs and metrics of job \(job) deleted")
                await expectRefusal(.notFound, "job not found: \(job)") { try await client.lines(job) }
                await expectRefusal(.notFound, "job not found: \(job)") {
                    try await client.persist.deleteJob(.with { $0.jobID = job })
                }
            }
        }
    }

    private func expectUnavailable(_ call: () async throws -> Void) async {
        let error = await #expect(throws: RPCError.self) { try await call() }
        #expect(error?.code == .unavailable)
    }

    private func trailers(of response: StreamingClientResponse<some Any>) async throws -> Metadata {
        for try await part in try response.accepted.get().bodyParts {
            if case .trailingMetadata(let metadata) = part { return metadata }
        }
        return [:]
    }

    private func expectHistory(of job: String, _ client: DaemonClient) async throws {
        #expect(try await client.persist.ping(.init()).healthy)
        let lines = try await client.lines(job)
        #expect(lines.map { String(decoding: $0.content, as: UTF8.self) } == ["out", "err", "tail"])
        #expect(lines.map(\.stream) == [.stdout, .stderr, .stdout])
        #expect(lines.map(\.sequence) == [0, 4, 8])
        #expect(lines.allSatisfy { $0.jobID == job })
        #expect(try await client.lines(String(job.prefix(8))) == lines)
        #expect(try await client.lines(job) { $0.stream = .stderr } == [lines[1]])
        #expect(try await client.lines(job) { ($0.offset, $0.limit) = (1, 1) } == [lines[1]])
        #expect(try await client.lines(job) { $0.startTime = lines[1].timestamp } == Array(lines[1...]))
        #expect(try await client.lines(job) { $0.endTime = lines[1].timestamp } == Array(lines[...1]))
        #expect(try await client.lines(job) { $0.grep = "t" } == [lines[0], lines[2]])
        let unknown = "00000000-0000-4000-8000-000000000000"
        await expectRefusal(.notFound, "job not found: \(unknown)") { try await client.lines(unknown) }
        await expectRefusal(.invalidArgument, "job_id is required") { try await client.lines("") }
        await expectRefusal(
            .invalidArgument, "start_time, end_time, limit and offset cannot be negative"
        ) { try await client.lines(job) { $0.limit = -1 } }
    }

    /// A port of this host that nobody listens on.
    private func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(descriptor, address, length) == 0 ? getsockname(descriptor, address, &length) : -1
            }
        }
        try #require(status == 0)
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

/// Keeps a worker that was killed from coming back: holds the lock for which the next one waits.
private final class Hold: Sendable {
    private let descriptor: Int32

    private let waiting: Task<Void, Never>

    /// Waits for the lock before its owner is killed: the next worker comes behind.
    init(_ path: String) throws {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0)
        self.descriptor = descriptor
        waiting = Task {
            await withCheckedContinuation { continuation in
                Thread {
                    while flock(descriptor, LOCK_EX) != 0 && errno == EINTR {}
                    continuation.resume()
                }.start()
            }
        }
    }

    /// Waits until the killed worker has let go.
    func taken() async { await waiting.value }

    func release() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }
}
