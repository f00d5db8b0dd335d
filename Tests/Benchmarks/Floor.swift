import BenchmarkSupport
import Foundation

/// The program of what the same work costs without Joblet.
struct Floor: Sendable {
    let program: String

    /// What one command cost.
    struct Cost: Sendable {
        /// Seconds from its start to its end.
        let seconds: Double
        /// Seconds of CPU time, its children's included.
        let processorSeconds: Double
        /// The largest resident set of it or one of its children.
        let megabytes: Double
        /// What it wrote to standard output.
        let output: String
    }

    /// Milliseconds of each of `count` sandboxes, one after another; `parts` as the program names them.
    func sandboxes(_ count: Int, parts: String, work: String) throws -> [Double] {
        try numbers(["sandbox", work, "\(count)", parts]).map { $0 / 1e3 }
    }

    /// Sandboxes a second of so many loops at once.
    func sandboxesPerSecond(loops: Int, count: Int, work: String) throws -> Double {
        Double(count) / (try numbers(["loops", work, "\(loops)", "\(count)"])[0] / 1e6)
    }

    /// Runs a command and tells its cost; throws where it does not end with 0.
    func cost(of command: [String], environment: [String: String] = [:], work: String) throws -> Cost {
        let output = work + "/output"
        let values = try numbers(["measure", output] + command, environment: environment, errors: work + "/errors")
        guard values.count == 4, values[3] == 0 else {
            let errors = try String(contentsOfFile: work + "/errors", encoding: .utf8)
            throw Wrong("\(command.joined(separator: " ")) ended with \(values.last ?? -1): \(errors)")
        }
        return Cost(
            seconds: values[0] / 1e6, processorSeconds: values[1] / 1e6, megabytes: values[2] / 1024,
            output: try String(contentsOfFile: output, encoding: .utf8))
    }

    private func numbers(
        _ arguments: [String], environment: [String: String] = [:], errors: String? = nil
    ) throws -> [Double] {
        try Command.output(program, arguments, environment: environment, errors: errors)
            .split(separator: "\n").compactMap { Double($0) }
    }
}

/// Other programs.
enum Command {
    /// What the program writes to standard output; throws where it does not end with 0. What it says on standard
    /// error goes to the file `errors`, where there is one.
    static func output(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], errors: String? = nil
    ) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let pipe = Pipe()
        process.standardOutput = pipe
        if let errors {
            try Data().write(to: URL(fileURLWithPath: errors))
            process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
        }
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Wrong("\(program) \(arguments.joined(separator: " ")) ended with \(process.terminationStatus)")
        }
        return String(decoding: output, as: UTF8.self)
    }
}
