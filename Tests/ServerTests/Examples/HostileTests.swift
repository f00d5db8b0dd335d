import DaemonSupport
import Foundation
import Glibc
import JobletAPI
import JobletSecurity
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    /// Jobs and hosts that do not behave.
    @Suite struct HostileTests {}
}

extension DaemonTests.HostileTests {
    @Test func `a job that closes its output goes on, and its log ends with it`() async throws {
        try await DaemonProcess.run { daemon in
            let terminal = try Terminal(daemon)
            let printed = try await terminal.type(
                "rnx job run --follow --wait sh -c 'echo before; exec >&- 2>&-; sleep 0.3; exit 4'")
            #expect(printed.output == "before\n" && printed.status == 4, "\(printed)")
        }
    }

    @Test func `a child that leaves its session dies with its job`() async throws {
        try await DaemonProcess.run { daemon in
            let terminal = try Terminal(daemon)
            let printed = try await terminal.type(
                "rnx job run --follow --wait sh -c 'setsid sleep 1000 & setsid sleep 1000 >&- 2>&- & echo parent'")
            #expect(printed.output == "parent\n" && printed.status == 0, "\(printed)")
            #expect(await holds { daemon.remains.jobProcesses.isEmpty })
        }
    }

    @Test func `a full disk stops what needs it and nothing else, and room brings all of it back`() async throws {
        let daemon = try DaemonProcess(["joblet.cleanupTimeout": "60s"])
        let disk = daemon.dataDirectory
        try #require(mount("tmpfs", disk, "tmpfs", 0, "size=48m,mode=0700") == 0)
        do {
            try daemon.certificates.initialize(names: SubjectNames())
            try await daemon.start()
            let terminal = try Terminal(daemon)
            let id = try await terminal.start(
                "sh -c 'trap \"seq 200000; echo end; exit\" TERM; echo here; while :; do sleep 0.1; done'")
            try await daemon.connect { try await $0.waitForOutput("here\n", of: id) }
            let filled = try await terminal.type(
                "cat /dev/zero > \(disk)/ballast; df --output=avail \(disk) | tail -n 1")
            // In KiB; what is free again a moment later is no room: an eighth of a small disk is kept for records.
            let left = try #require(Int(filled.output.trimmingCharacters(in: .whitespacesAndNewlines)), "\(filled)")
            #expect(left < 1024)

            let refused = try await terminal.type("rnx job run true")
            #expect(refused.status == 1 && refused.errors.contains("No space left on device"), "\(refused)")
            #expect(refused.errors.split(separator: "\n").count == 1, "\(refused)")
            let upload = try await terminal.type("head -c 2000000 /dev/zero > f; rnx job run --upload f true")
            #expect(upload.status == 1 && upload.errors.contains("No space left on device"), "\(upload)")
            // At SIGTERM the job writes more than the disk has room for, and waits.
            async let stopped = terminal.type("rnx job stop \(id)")
            #expect(try await terminal.type("rnx job list").output.contains("\(id) RUNNING"))
            #expect(try await terminal.type("rnx job status \(id)").status == 0)
            #expect(try await terminal.type("rnx job log --no-follow \(id)").output.hasPrefix("here\n"))

            #expect(unlink("\(disk)/ballast") == 0)
            #expect(try await stopped.output.contains("\nStatus: STOPPED\n"))
            let whole = try await terminal.type("(echo here; seq 200000; echo end) | sha256sum")
            expect(try await terminal.type("rnx job log \(id) 2>/dev/null | sha256sum"), output: whole.output)
            let again = try await terminal.type("rnx job run --follow --wait echo again")
            #expect(again.output == "again\n" && again.status == 0, "\(again)")
            #expect(await daemon.stop(SIGTERM) == 0)
        } catch {
            Issue.record(error)
        }
        await daemon.end()
        #expect(umount2(disk, Int32(MNT_DETACH)) == 0)
    }
}
