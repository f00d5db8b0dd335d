import DaemonSupport
import Foundation
import GRPCCore
import Glibc
import JobletAPI
import JobletSecurity
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    @Suite struct ShutdownTests {}
}

extension DaemonTests.ShutdownTests {
    @Test(arguments: [SIGTERM, SIGINT])
    func `a signal ends the daemon in under two seconds, its streams at once and no job`(signal: Int32) async throws {
        try await DaemonProcess.run { daemon in
            var times: [Duration] = []
            // The fastest of three: another test may have the processors.
            for _ in 0..<3 {
                let job = try await daemon.connect { client in
                    let job = try await client.shell("echo here; exec sleep 1000").jobUuid
                    try await client.waitForOutput("here\n", of: job)
                    return job
                }
                let (watches, isWatching) = AsyncStream<Void>.makeStream()
                async let stream: RPCError? = {
                    do {
                        try await daemon.connect(as: .viewer) { viewer in
                            try await viewer.jobs.getJobLogs(.with { $0.uuid = job }) { response in
                                for try await _ in response.messages { isWatching.finish() }
                            }
                        }
                        return nil
                    } catch {
                        return error as? RPCError
                    }
                }()
                for await _ in watches {}
                let clock = ContinuousClock()
                let start = clock.now
                let status = await daemon.stop(signal)
                times.append(clock.now - start)
                #expect(status == 0)
                let error = await stream
                #expect(error?.code == .unavailable)
                #expect(daemon.process?.output.contains("[INFO] stopped") == true)
                #expect(!daemon.remains.jobProcesses.isEmpty)
                try await daemon.start()
                try await daemon.connect { client async throws in
                    #expect(try await client.status(job).status == "RUNNING")
                    #expect(try await client.jobs.stopJob(.with { $0.uuid = job }).status == "STOPPED")
                    #expect(try await client.text(job) == "here\n")
                }
            }
            #expect(try #require(times.min()) < .seconds(2), "\(times)")
        }
    }

    @Test func `a viewer that reads nothing does not hold up the end`() async throws {
        try await DaemonProcess.run { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.shell("head -c 50000000 /dev/zero; exec sleep 1000").jobUuid
                try await client.waitForOutput("\0", of: job)
                return job
            }
            var times: [Duration] = []
            for attempt in 0..<3 {
                if attempt > 0 { try await daemon.start() }
                // Frozen while its log comes: the daemon cannot send any more.
                let viewer = Process()
                viewer.executableURL = URL(filePath: Products.path("rnx"))
                viewer.arguments = ["job", "log", job]
                let terminal = try Terminal(daemon)
                viewer.environment = ["RNX_CONFIG": "\(terminal.folder.path)/rnx-config.yml"]
                let output = Pipe()
                viewer.standardOutput = output
                viewer.standardError = FileHandle.nullDevice
                try viewer.run()
                defer {
                    kill(viewer.processIdentifier, SIGKILL)
                    viewer.waitUntilExit()
                }
                #expect(output.fileHandleForReading.availableData.count > 0)
                kill(viewer.processIdentifier, SIGSTOP)
                let start = ContinuousClock.now
                #expect(await daemon.stop(SIGTERM) == 0)
                times.append(ContinuousClock.now - start)
            }
            // Far less than the five seconds after which the transport gives up such a connection.
            #expect(try #require(times.min()) < .seconds(4.5), "\(times)")
        }
    }

    @Test func `with onShutdown stop the jobs end first and are recorded`() async throws {
        try await DaemonProcess.run(["joblet.onShutdown": "stop"]) { daemon in
            let jobs = try await daemon.connect { client in
                try await [
                    client.run("sleep", "1000").jobUuid,
                    client.shell("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done").jobUuid,
                ]
            }
            try await daemon.connect { try await $0.waitForOutput("ready\n", of: jobs[1]) }
            #expect(await daemon.stop(SIGTERM) == 0)
            #expect(daemon.remains.jobProcesses.isEmpty)
            try await daemon.start()
            try await daemon.connect { client in
                for job in jobs {
                    let status = try await client.status(job)
                    #expect(status.status == "STOPPED")
                    #expect(status.reason == "stopped")
                    #expect(status.exitCode == -1)
                }
                #expect(try await client.text(jobs[1]) == "ready\nbye\n")
            }
        }
    }

    @Test func `a second daemon on the same data directory is refused`() async throws {
        try await DaemonProcess.run { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.shell("echo here; exec sleep 1000").jobUuid
                try await client.waitForOutput("here\n", of: job)
                return job
            }
            let second = try await runProgram(
                Products.path("joblet"), ["--config", daemon.configurationPath, "--listen", "127.0.0.1:0"])
            #expect(second.status == 1)
            #expect(second.output.contains("another joblet daemon holds \(daemon.dataDirectory)"), "\(second.output)")
            try await daemon.connect { client async throws in
                #expect(try await client.status(job).status == "RUNNING")
                #expect(try await client.jobs.stopJob(.with { $0.uuid = job }).status == "STOPPED")
            }
        }
    }

    @Test func `a port that is taken ends the program with a reason`() async throws {
        try await DaemonProcess.run { daemon in
            let other = try DaemonProcess()
            try other.writeConfiguration()
            let result = try await runProgram(
                Products.path("joblet"),
                ["--config", other.configurationPath, "--listen", "127.0.0.1:\(daemon.port)"])
            #expect(result.status == 1)
            #expect(result.output.contains("in use"), "\(result.output)")
            await other.end()
        }
    }

    @Test(
        "a configuration that cannot be used ends the program with the place of each problem",
        arguments: [
            ("server:\n  port: 99999\n", ":2:9: server.port: "),
            ("version: \"3.0\"\nserver:\n  prot: 1\n", ":3:3: server.prot: "),
            ("joblet:\n  onShutdown: burn\n", ":2:15: joblet.onShutdown: "),
            ("server: [\n", ":2:1: "),
            ("just text\n", ":1:1: "),
        ])
    func badConfiguration(text: String, place: String) async throws {
        let directory = try TemporaryDirectory()
        let path = "\(directory.path)/joblet-config.yml"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        for arguments in [["--config", path], ["serve", "--config", path], ["config", "check", "--config", path]] {
            let result = try await runProgram(Products.path("joblet"), arguments)
            #expect(result.status == 1, "\(arguments)")
            #expect(result.output.hasPrefix(path + place), "\(result.output)")
        }
    }

    @Test func `a configuration file that is not there ends the program`() async throws {
        let result = try await runProgram(Products.path("joblet"), ["--config", "/no/such/file.yml"])
        #expect(result.status == 1)
        #expect(result.output.hasPrefix("/no/such/file.yml"), "\(result.output)")
    }

    @Test func `a daemon without certificates says how to make them`() async throws {
        let directory = try TemporaryDirectory()
        let result = try await runProgram(
            Products.path("joblet"), ["--data-dir", "\(directory.path)/data", "--listen", "127.0.0.1:0"])
        #expect(result.status == 1)
        #expect(result.output.contains("joblet certs init"), "\(result.output)")
    }

    @Test func `the certificates that the program makes let its clients in`() async throws {
        let daemon = try DaemonProcess()
        try FileManager.default.removeItem(atPath: daemon.certificates.path)
        try daemon.writeConfiguration()
        let made = try await runProgram(
            Products.path("joblet"),
            ["certs", "init", "--config", daemon.configurationPath, "--name", "node1.example.com"])
        #expect(made.status == 0, "\(made.output)")
        for name in ["rnx-config.yml", "ca-key.pem", "server-key.pem", "client-key.pem"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(daemon.certificates.path)/\(name)")
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(name)")
        }
        let again = try await runProgram(
            Products.path("joblet"), ["certs", "init", "--config", daemon.configurationPath])
        #expect(again.status == 1)
        #expect(again.output.contains("--force"), "\(again.output)")
        // One more client, with files of its own.
        let issue = ["certs", "issue", "--config", daemon.configurationPath, "--role", "viewer", "--name"]
        #expect(try await runProgram(Products.path("joblet"), issue + ["bob"]).status == 0)
        for name in ["bob-client-key.pem", "rnx-config-bob.yml"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: "\(daemon.certificates.path)/\(name)")
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(name)")
        }
        let folder = daemon.certificates.path
        let bob = try TLSIdentity(
            certificatePath: folder + "/bob-client-cert.pem", keyPath: folder + "/bob-client-key.pem",
            authorityPath: folder + "/ca-cert.pem")
        for (name, reason) in [("bob", "--force"), ("../bob", "--name"), ("admin", "--name")] {
            let refused = try await runProgram(Products.path("joblet"), issue + [name])
            #expect(refused.status != 0)
            #expect(refused.output.contains(reason), "\(refused.output)")
        }
        do {
            try await daemon.start()
            for caller in [Caller.admin, .viewer, .holder(bob)] {
                let jobs = try await daemon.connect(as: caller) { try await $0.jobs.listJobs(.init()).jobs }
                #expect(jobs.isEmpty)
            }
            await expectRefusal(.permissionDenied, "role viewer is not allowed to perform operation run_job") {
                try await daemon.connect(as: .holder(bob)) { try await $0.run("true") }
            }
        } catch {
            Issue.record(error)
        }
        await daemon.end()
    }
}
