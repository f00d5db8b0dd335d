import DaemonSupport
import Foundation
import Glibc
import JobletAPI
import Testing

extension DaemonTests {
    /// What `rnx` says about itself, and how it ends.
    @Suite(.daemon()) struct ProgramTests {}
}

extension DaemonTests.ProgramTests {
    @Test func `versions are those of the program and of the server`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        for line in ["rnx version", "rnx -v", "rnx --version"] {
            let printed = try await terminal.type(line)
            #expect(printed.output.contains(/^rnx \d+\.\d+\.\d+\njoblet \d+\.\d+\.\d+\n$/), "\(line): \(printed)")
            #expect(printed.errors == "" && printed.status == 0, "\(line): \(printed)")
        }
        let json = try await terminal.type("rnx --json version").object
        #expect((json["rnx"] as? [String: Any])?["version"] is String)
        #expect((json["joblet"] as? [String: Any])?["version"] is String)
    }

    @Test(
        "help and versions need neither a server nor a configuration",
        arguments: [
            ("help", "USAGE: rnx"), ("--help", "USAGE: rnx"), ("job --help", "USAGE: rnx job"),
            ("job run --help", "rnx job run [<options>] [--] <command>"), ("help run", "rnx job run"),
            ("job log --help", "--follow"), ("config-help", "rnx-config.yml"), ("version", "rnx "),
        ])
    func help(_ words: String, _ text: String) async throws {
        let printed = try await Terminal().type("rnx \(words)")
        #expect(printed.output.contains(text), "\(printed)")
        #expect(printed.errors == "" && printed.status == 0, "\(printed)")
    }

    @Test func `what is stored is told, with the largest jobs`() async throws {
        try await DaemonProcess.run { daemon in
            let terminal = try Terminal(daemon)
            let id = try await terminal.start("sh -c 'seq 1 2000; seq 1 5 >&2'")
            _ = try await daemon.connect { try await $0.end(of: id) }
            #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
            try await daemon.connect { client in
                #expect(await holds { (try? await client.storage.getStorageStats(.init()).waitingRecords) == 0 })
            }
            let listed = try await terminal.type("rnx --json storage stats --top 1")
            let json = try listed.object
            let logs = try #require(json["logs"] as? [String: Any], "\(listed)")
            #expect(logs["jobs"] as? Int == 1)
            #expect(logs["lines"] as? Int == 2005)
            #expect(logs["bytes"] as? Int == 8903)
            #expect((json["metrics"] as? [String: Any])?["samples"] as? Int ?? 0 >= 2)
            #expect(json["job_records"] as? Int == 1)
            #expect((json["largest"] as? [[String: Any]])?.map { $0["uuid"] as? String } == [id])
            let printed = try await terminal.type("rnx storage stats")
            #expect(printed.output.contains("Logs:    1 jobs, 2005 lines"), "\(printed)")
            #expect(printed.status == 0)
        }
    }

    @Test func `options behind the command are the command's`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let id = try await terminal.start("echo --help --json --max-cpu=1 -- -h")
        expect(try await terminal.type("rnx job log \(id) 2>/dev/null"), output: "--help --json --max-cpu=1 -- -h\n")
    }

    @Test func `nodes are listed without their keys`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let printed = try await terminal.type("rnx nodes")
        #expect(printed.output.hasPrefix("* default\n    Address: 127.0.0.1:"), "\(printed)")
        #expect(
            printed.output.contains("    Node ID: node-1\n    Cert: ***\n    Key:  ***\n    CA:   ***\n"), "\(printed)")
        let json = try await terminal.type("rnx --json nodes | jq -c 'map([.name, .nodeId, .status, .default])'")
        expect(json, output: "[[\"default\",\"node-1\",\"active\",true]]\n")
    }

    @Test(
        "with --wait the program ends as the job did",
        arguments: [
            ("true", "COMPLETED", 0), ("sh -c 'exit 7'", "FAILED", 7), ("sh -c 'kill -9 $$'", "FAILED", 137),
            ("no-such-command", "FAILED", 127), ("--timeout=3s sleep 1000", "STOPPED", 1),
        ])
    func waiting(_ words: String, _ status: String, _ code: Int32) async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let printed = try await terminal.type("rnx job run --wait --init \(words)")
        #expect(printed.output.contains("\nJob ended:\nID: "), "\(printed)")
        #expect(printed.output.contains("Status: \(status)\nExitCode: "), "\(printed)")
        #expect(printed.errors == "" && printed.status == code, "\(printed)")
        let json = try await terminal.type("rnx --json job run --wait --init \(words)")
        #expect(try json.object["status"] as? String == status)
        #expect(json.errors == "" && json.status == code, "\(json)")
    }

    @Test func `with --follow standard output is the job's`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let line = "rnx job run --follow --wait sh -c 'printf \"a\\0b\"; echo oops >&2; exit 3' | od -An -c"
        let printed = try await terminal.type("set -o pipefail; \(line)")
        #expect(printed.output == "   a  \\0   b   o   o   p   s  \\n\n", "\(printed)")
        #expect(printed.errors.hasPrefix("Job started:\n"), "\(printed)")
        #expect(printed.errors.contains("\nJob ended:\n"), "\(printed)")
        #expect(printed.status == 3)
    }

    @Test func `a result is copied out of a kept work directory`() async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let started = try await terminal.type("rnx job run --wait --keep-work sh -c 'mkdir d; echo result > d/file'")
        let id = try #require(started.id)
        let copied = try await terminal.type("rnx job cp \(id.prefix(8)):/work/d out && cat out/file")
        #expect(copied.output.hasSuffix("\nresult\n") && copied.status == 0, "\(copied)")
    }

    @Test(
        "a standard stream that is closed does no harm", arguments: ["<&-", "2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
    func closedStreams(_ redirection: String) async throws {
        let terminal = try Terminal(SharedDaemon.current)
        let id = try await terminal.start("--wait echo here")
        let log = try await terminal.type("rnx job log \(id) \(redirection)")
        #expect(log.output == (redirection.contains(" >&-") ? "" : "here\n"), "\(log)")
        #expect(log.status == (redirection.contains(" >&-") ? 1 : 0), "\(log)")
    }
}
