import ArgumentParser
import JobletAPI
import SwiftProtobuf
import Testing

@testable import rnx

@Suite struct CommandTests {
    @Test func `Options of job log are read in every form`() throws {
        let plain = try parse(words("log f47ac10b"), as: LogCommand.self)
        #expect(plain.follow)
        #expect(plain.job.uuid == "f47ac10b")

        let line = "job log --no-follow --stream stderr --lines=5 --grep -x --since 2h --until=10m --timestamps u"
        let full = try parse(words(line), as: LogCommand.self)
        #expect(!full.follow)
        #expect(full.stream == [.stderr])
        #expect(full.tail == 5)
        #expect(full.grep == "-x")
        #expect(full.since == "2h")
        #expect(full.until == "10m")
        #expect(full.timestamps)
        #expect(try parse(words("log u --tail 7"), as: LogCommand.self).tail == 7)
    }

    @Test(
        "Wrong command lines are refused",
        arguments: [
            "log", "log u --tail 0", "log u --tail x", "log u --tail -1", "log u --since 10m --until 2h",
            "log u --stream both", "log u --since yesterday",
            "log u v", "metrics", "metrics u v", "metrics u --from yesterday", "metrics u --to x", "status", "stop",
            "delete", "delete-all x", "list --limit 0", "list --status bogus", "list --limit -1", "cp a b",
            "cp :/x b", "cp a:/x", "job nonsense", "nonsense",
        ])
    func refused(_ line: String) {
        #expect(throws: (any Error).self) { try RootCommand.parseAsRoot(ArgumentOrder(words(line)).arguments) }
    }

    @Test func `An empty UUID is refused`() {
        #expect(throws: (any Error).self) { try parse(["status", ""], as: StatusCommand.self) }
    }

    @Test func `What users of the original ask for and is not there is told by its name`() async throws {
        try await withServer(ScriptedServer()) { folder, _ in
            for (line, feature) in [
                ("list --workflow 7 --include-completed", "workflows are"),
                ("run --workflow file.yml", "workflows are"), ("metrics x --summary", "summaries of metrics are"),
            ] {
                let result = try await Program.run(["job"] + words(line), in: folder)
                #expect(result.status == 1)
                #expect(result.errors == "Error: \(feature) not available in this version of rnx\n", "\(line)")
            }
        }
    }

    @Test func `A range of metrics has an order`() {
        #expect(throws: (any Error).self) { try parse(words("metrics x --from 5s --to 1m"), as: MetricsCommand.self) }
        #expect(throws: Never.self) { try parse(words("metrics x --from 1m --to 5s"), as: MetricsCommand.self) }
    }

    @Test func `List takes states and a limit`() throws {
        let line = words("list --status running,FAILED --limit 2 --include-completed")
        let command = try parse(line, as: ListCommand.self)
        let jobs = ["RUNNING", "COMPLETED", "FAILED", "RUNNING"].map { status in
            Joblet_Job.with { $0.status = status }
        }
        #expect(command.selected(jobs).map(\.status) == ["RUNNING", "FAILED"])
        #expect(try parse(words("list"), as: ListCommand.self).selected(jobs).count == 4)
    }

    @Test(
        "The source of a copy is a job and a path",
        arguments: [
            ("1b9d:/work/out", "1b9d", "/work/out", "out"),
            ("1b9d:out/", "1b9d", "out/", "out"),
            ("1b9d:", "1b9d", "/work", "work"),
            ("1b9d:/", "1b9d", "/", "work"),
            ("1b9d:a/.", "1b9d", "a/.", "a"),
            ("1b9d:..", "1b9d", "..", "work"),
            ("1b9d:a:b", "1b9d", "a:b", "a:b"),
        ])
    func copySource(_ text: String, _ job: String, _ path: String, _ name: String) throws {
        let source = try #require(CopySource(text))
        #expect(source.job == job)
        #expect(source.path == path)
        #expect(source.name == name)
    }
}
