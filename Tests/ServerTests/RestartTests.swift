import Backends
import DaemonSupport
import Foundation
import GRPCCore
import Glibc
import JobletAPI
import Storage
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    @Suite struct RestartTests {}
}

extension DaemonTests.RestartTests {
    @Test func `jobs go on without the daemon and are whole after it`() async throws {
        try await DaemonProcess.run { daemon in
            let running = "echo one; read go < /work/fifo; echo two; exec sleep 1000"
            let (job, ended) = try await daemon.connect { client in
                let job = try await client.shell("mkfifo fifo; \(running)") { $0.keepWork = true }.jobUuid
                try await client.waitForOutput("one\n", of: job)
                let ended = try await client.shell("echo early; exit 4").jobUuid
                _ = try await client.end(of: ended)
                return (job, ended)
            }
            let pid = try await daemon.connect { try await $0.status(job).pid }
            await daemon.stop(SIGKILL)
            try writeLine("go", toPipe: "\(daemon.dataDirectory)/work/\(job)/fifo")
            try await daemon.start()
            try await daemon.connect { client in
                try await client.waitForOutput("one\ntwo\n", of: job)
                let status = try await client.status(job)
                #expect(status.status == "RUNNING")
                #expect(status.pid == pid)
                #expect(try await client.jobs.listJobs(.init()).jobs.map(\.uuid) == [job, ended])
                #expect(try await client.text(ended) == "early\n")
                #expect(try await client.status(ended).exitCode == 4)
                _ = try await client.jobs.stopJob(.with { $0.uuid = job })
                #expect(try await client.text(job) == "one\ntwo\n")
            }
        }
    }

    @Test func `a job that ended while no daemon ran is recorded by the next`() async throws {
        try await DaemonProcess.run { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.shell("mkfifo fifo; echo ready; read x < fifo; echo done; exit 7") {
                    $0.keepWork = true
                }.jobUuid
                try await client.waitForOutput("ready\n", of: job)
                return job
            }
            await daemon.stop(SIGKILL)
            try writeLine("go", toPipe: "\(daemon.dataDirectory)/work/\(job)/fifo")
            #expect(eventually { daemon.remains.jobProcesses.isEmpty })
            try await daemon.start()
            try await daemon.connect { client in
                let status = try await client.end(of: job)
                #expect(status.status == "FAILED")
                #expect(status.exitCode == 7)
                #expect(status.reason == "")
                #expect(try await client.text(job) == "ready\ndone\n")
            }
        }
    }

    @Test func `deleted jobs do not come back`() async throws {
        try await DaemonProcess.run { daemon in
            let kept = try await daemon.connect { client in
                let jobs = try await [client.run("echo", "a").jobUuid, client.run("echo", "b").jobUuid]
                for job in jobs { _ = try await client.end(of: job) }
                _ = try await client.jobs.deleteJob(.with { $0.uuid = jobs[0] })
                return jobs[1]
            }
            await daemon.stop(SIGKILL)
            for _ in 0..<2 {
                try await daemon.start()
                try await daemon.connect { client async throws in
                    #expect(try await client.jobs.listJobs(.init()).jobs.map(\.uuid) == [kept])
                    #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                }
                #expect(await daemon.stop(SIGTERM) == 0)
            }
        }
    }

    @Test func `after a restart of the host jobs that ran are FAILED with their reason`() async throws {
        try await DaemonProcess.run { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.shell("echo before; exec sleep 1000").jobUuid
                try await client.waitForOutput("before\n", of: job)
                #expect(try await holds { try await client.storage.getStorageStats(.init()).waitingRecords == 0 })
                return job
            }
            #expect(await daemon.stop(SIGTERM) == 0)
            // What a restart does: no process is left, the run directory is empty, the boot has another id.
            for pid in daemon.remains.shims + daemon.remains.pumps + daemon.remains.jobProcesses { kill(pid, SIGKILL) }
            #expect(
                eventually {
                    daemon.remains.shims.isEmpty && daemon.remains.pumps.isEmpty && daemon.remains.jobProcesses.isEmpty
                })
            try FileManager.default.removeItem(atPath: daemon.runDirectory)
            let id = try #require(JobID(job))
            do {
                let store = try SQLiteJobStore(path: "\(daemon.dataDirectory)/state/jobs.db")
                var record = try await store.get(id)
                #expect(record.status == .running)
                record.lease?.bootID = "11111111-2222-3333-4444-555555555555"
                record.version += 1
                try await store.put([record])
            }
            try await daemon.start()
            try await daemon.connect { client in
                let status = try await client.end(of: job)
                #expect(status.status == "FAILED")
                #expect(status.reason == "node restarted")
                #expect(status.exitCode == -1)
                #expect(try await client.text(job) == "before\n")
                #expect(try await client.run("true").status != "")
            }
        }
    }

    @Test func `jobs end with their supervisor, and no byte that they wrote is lost`() async throws {
        try await DaemonProcess.run { daemon in
            try await daemon.connect { client in
                let job = try await client.shell("echo before; exec sleep 1000").jobUuid
                try await client.waitForOutput("before\n", of: job)
                for pid in daemon.remains.shims { kill(pid, SIGKILL) }
                let status = try await client.end(of: job)
                #expect(status.status == "FAILED")
                #expect(status.reason == "supervisor lost")
                #expect(try await client.text(job) == "before\n")
                #expect(await holds { daemon.remains.jobProcesses.isEmpty })
                // The next job has a new supervisor.
                let next = try await client.run("echo", "next").jobUuid
                #expect(try await client.text(next) == "next\n")
            }
        }
    }
}

extension DaemonTests.RestartTests {
    /// A job of the storm: what it prints and how it ends.
    private struct Storm: Sendable {
        let number: Int
        let lines: Int

        var exitCode: Int32 { number % 3 == 0 ? Int32(number % 100) : 0 }
        var expected: Data { Data((0..<lines).map { "\(number) line \($0)\n" }.joined().utf8) }
        var request: Joblet_RunJobRequest {
            .with { message in
                message.name = "\(number)"
                message.command = "perl"
                message.args = ["-e", program]
            }
        }
        /// One write a line, with pauses, for a few seconds.
        var program: String {
            "$| = 1; for my $i (0..\(lines - 1)) { print \"\(number) line $i\\n\"; select(undef, undef, undef, 0.01) "
                + "if $i % 10 == 0 } exit \(exitCode)"
        }
    }

    @Test func `a daemon killed again and again under fifty jobs loses and leaks nothing`() async throws {
        try await DaemonProcess.run { daemon in
            let storms = (0..<50).map { Storm(number: $0, lines: 2000 + 40 * $0) }
            async let submitted = submit(storms, to: daemon)
            var generator = SeededGenerator(seed: 4)
            for _ in 0..<6 {
                try await Task.sleep(for: .milliseconds(Int.random(in: 100...900, using: &generator)))
                await daemon.stop(SIGKILL)
                try await daemon.start()
            }
            let all = try await submitted
            #expect(all.count == storms.count)
            try await daemon.connect { client in
                for (job, storm) in all {
                    let log = try await client.log(job)
                    #expect(log == storm.expected, "job \(storm.number): \(log.count) of \(storm.expected.count) bytes")
                    let status = try await client.end(of: job)
                    #expect(status.status == (storm.exitCode == 0 ? "COMPLETED" : "FAILED"), "\(status)")
                    #expect(status.exitCode == storm.exitCode, "\(status)")
                    #expect(status.reason == "")
                }
                // Those whose answer was cut off are jobs like all others.
                let listed = try await client.jobs.listJobs(.init()).jobs
                for job in listed where !all.contains(where: { $0.job == job.uuid }) {
                    let storm = try #require(Int(job.name).map { storms[$0] })
                    let status = try await client.end(of: job.uuid)
                    #expect(status.exitCode == storm.exitCode, "\(status)")
                    #expect(try await client.log(job.uuid) == storm.expected)
                }
                #expect(Set(all.map(\.job)).isSubset(of: Set(listed.map(\.uuid))))
                try await expectNothingLeft(daemon, shims: 1)

                let deleted = try await client.jobs.deleteAllJobs(.init())
                #expect(deleted.deletedCount == Int32(listed.count))
                #expect(await holds { names(in: "\(daemon.dataDirectory)/logs").allSatisfy { JobID($0) == nil } })
            }
            #expect(await daemon.stop(SIGTERM) == 0)
            try await daemon.start()
            let left = try await daemon.connect { try await $0.jobs.listJobs(.init()).jobs.count }
            #expect(left == 0)
        }
    }

    /// Runs every job; a call that a kill cut off may or may not have started one: it is asked for again.
    private func submit(_ storms: [Storm], to daemon: DaemonProcess) async throws -> [(job: String, storm: Storm)] {
        var accepted: [(job: String, storm: Storm)] = []
        for storm in storms {
            while true {
                do {
                    let job = try await daemon.connect { try await $0.jobs.runJob(storm.request) }
                    accepted.append((job.jobUuid, storm))
                    break
                } catch is RPCError {
                    try await Task.sleep(for: .milliseconds(10))
                }
            }
        }
        return accepted
    }

    private func expectNothingLeft(_ daemon: DaemonProcess, shims: Int) async throws {
        #expect(await holds { daemon.remains.groups.isEmpty }, "\(daemon.remains.groups)")
        #expect(daemon.remains.shims.count == shims)
        #expect(daemon.remains.pumps.count <= shims)
        for folder in ["outbox", "staging", "work"] {
            let path = "\(daemon.dataDirectory)/\(folder)"
            #expect(await holds { names(in: path).isEmpty }, "\(folder): \(names(in: path))")
        }
        let node = try #require(names(in: daemon.runDirectory).first)
        let directories = names(in: "\(daemon.runDirectory)/\(node)").filter { $0.hasPrefix("shim-") }
        #expect(directories.count == shims)
        let shim = try #require(directories.first)
        #expect(names(in: "\(daemon.runDirectory)/\(node)/\(shim)/root") == [])
    }
}

/// Writes a line to a named pipe; waits until it is opened for reading.
func writeLine(_ text: String, toPipe path: String) throws {
    let pipe = open(path, O_WRONLY | O_CLOEXEC)
    try #require(pipe >= 0, "\(path): \(String(cString: strerror(errno)))")
    defer { close(pipe) }
    let line = Array("\(text)\n".utf8)
    try #require(write(pipe, line, line.count) == line.count)
}
