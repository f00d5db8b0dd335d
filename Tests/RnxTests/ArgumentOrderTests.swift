import Testing

@testable import rnx

@Suite struct ArgumentOrderTests {
    @Test(
        "Options and verbs are put where the parser takes them",
        arguments: [
            ("list", "job list"),
            ("run ls", "job run -- ls"),
            ("job list", "job list"),
            ("--json list", "job list --json"),
            ("--json job --node a list --wide", "job list --json --node a --wide"),
            ("--server=h:1 --cert=c --key k run echo hi", "job run --server h:1 --cert c --key k -- echo hi"),
            ("nodes --json", "nodes --json"),
            ("--config run nodes", "nodes --config run"),
            ("help run", "help job run"),
            ("help nodes", "help nodes"),
            ("-v", "version"),
            ("--json --version", "version --json"),
            ("--bogus list", "--bogus list"),
            ("job", "job"),
            ("job --json", "job --json"),
            ("job --help", "job --help"),
            ("--node", "--node"),
        ])
    func order(_ line: String, _ expected: String) {
        let order = ArgumentOrder(words(line))
        // Without a command the words stay as they are, for the parser to refuse.
        #expect(order.arguments == words(expected) || (order.arguments.isEmpty && expected == line))
    }

    @Test(
        "Options of job run end at the first word that is none",
        arguments: [
            ("ls", "", "ls"),
            ("ls -h --json", "", "ls -h --json"),
            ("--name n ls --name m", "--name n", "ls --name m"),
            ("--name=n ls", "--name n", "ls"),
            ("-- ls -- x", "", "ls -- x"),
            ("--init -- --wait", "--init", "--wait"),
            ("-e A=1 -s=B=2 --env C=3 env", "-e A=1 -s B=2 --env C=3", "env"),
            ("--bogus=x ls", "--bogus=x", "ls"),
            ("--env=-x=--y ls", "--env -x=--y", "ls"),
            ("--max-cpu -1 ls", "--max-cpu -1", "ls"),
            ("--wait --follow true", "--wait --follow", "true"),
            ("--upload", "--upload", ""),
            ("--upload -- ls", "--upload --", "ls"),
            ("--bogus ls", "--bogus", "ls"),
            ("-h", "-h", ""),
            ("- ls", "-", "ls"),
        ])
    func runOrder(_ line: String, _ options: String, _ command: String) {
        let order = RunOrder(words(line)[...])
        #expect(order.options == words(options))
        #expect(order.command == words(command))
    }

    @Test(
        "JSON is asked for by options of rnx, not by words of the job",
        arguments: [
            ("--json run ls", true), ("run --json ls", true), ("run ls --json", false), ("run -- ls --json", false),
            ("list --json", true), ("list", false), ("--json --bogus", true),
        ])
    func wantsJSON(_ line: String, _ expected: Bool) {
        #expect(ArgumentOrder(words(line)).wantsJSON == expected)
    }

    @Test func `An empty value does not swallow the word after it`() {
        #expect(RunOrder(["--name=", "ls"]) == RunOrder(["--name", "", "ls"]))
        #expect(RunOrder(["--name=", "ls"]).options == ["--name", ""])
        #expect(ArgumentOrder(["--node=", "list"]).arguments == ["job", "list", "--node", ""])
    }

    @Test func `Every option of job run that takes a value is known to the splitter`() throws {
        for option in RunOrder.valueOptions {
            let value = option.contains("env") || option == "-e" || option == "-s" || option == "--label" ? "A=1" : "1"
            let command = try parse(["run", option, value, "ls"], as: RunCommand.self)
            #expect(command.command == ["ls"], "\(option)")
        }
    }

    @Test func `Flags of job run take no value`() throws {
        for flag in ["--init", "--keep-work", "--wait", "--follow", "--json"] {
            let command = try parse(["run", flag, "ls"], as: RunCommand.self)
            #expect(command.command == ["ls"], "\(flag)")
        }
    }
}
