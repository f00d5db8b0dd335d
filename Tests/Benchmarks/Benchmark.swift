import Foundation

/// `joblet-bench --bin DIR --floor PROGRAM --work DIR --output FILE [--only GROUP,...] [--durability LEVEL]`
///
/// Measures a daemon that it starts itself. Ends with 1 where something was wrong, never because something was slow.
@main
struct Benchmark {
    static func main() async {
        var isRight = true
        do {
            let options = try Options(CommandLine.arguments.dropFirst())
            var report = Report(durability: options.surroundings.durability)
            for group in options.groups {
                say("measuring \(group.rawValue)")
                do {
                    report.measurements += try await group.measure(options.surroundings)
                } catch {
                    // The other groups are still worth knowing.
                    isRight = false
                    say("\(group.rawValue): \(error)")
                }
                try report.json.write(to: URL(fileURLWithPath: options.output))
            }
            print(report.table, terminator: "")
        } catch {
            isRight = false
            say("\(error)")
        }
        exit(isRight ? 0 : 1)
    }

    private static func say(_ text: String) {
        FileHandle.standardError.write(Data("joblet-bench: \(text)\n".utf8))
    }
}

/// What is measured in one go, on a daemon of its own.
enum Group: String, CaseIterable {
    case start, jobs, log, memory, upload, rnx

    func measure(_ surroundings: Surroundings) async throws -> [Measurement] {
        try await Node.run(in: surroundings) { node in
            switch self {
            case .start: try await StartBenchmark(node: node).run()
            case .jobs: try await JobsBenchmark(node: node).run()
            case .log: try await LogBenchmark(node: node).run()
            case .memory: try await MemoryBenchmark(node: node).run()
            case .upload: try await UploadBenchmark(node: node).run()
            case .rnx: try await CommandBenchmark(node: node).run()
            }
        }
    }
}

/// Where the programs are and how durable the daemon is.
struct Surroundings: Sendable {
    var programs = ""
    var floor = Floor(program: "")
    /// A directory for everything that is written.
    var work = ""
    var durability = "process"
}

/// The command line.
struct Options {
    var surroundings = Surroundings()
    var output = "bench-results.json"
    var groups = Group.allCases

    init(_ arguments: some Collection<String>) throws {
        var rest = Array(arguments)[...]
        while let option = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Wrong("\(option) needs a value") }
            switch option {
            case "--bin": surroundings.programs = value
            case "--floor": surroundings.floor = Floor(program: value)
            case "--work": surroundings.work = value
            case "--output": output = value
            case "--durability": surroundings.durability = value
            case "--only":
                groups = try value.split(separator: ",").map { name in
                    guard let group = Group(rawValue: String(name)) else {
                        throw Wrong("no group \(name): \(Group.allCases.map(\.rawValue).joined(separator: ", "))")
                    }
                    return group
                }
                if groups.isEmpty { groups = Group.allCases }
            default: throw Wrong("no option \(option)")
            }
        }
    }
}

/// Something that is not as it must be, whatever it costs.
struct Wrong: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
