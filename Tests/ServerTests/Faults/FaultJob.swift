import Foundation
import JobletAPI
import SwiftProtobuf
import TestSupport
import Testing

/// A job whose output and end are known before it runs; its number is its name.
struct FaultJob: Sendable {
    enum Kind: Sendable {
        /// Writes line by line, for a second or more.
        case paced
        /// Writes megabytes without a pause.
        case burst
        /// Says nothing.
        case silent
        /// Has no program.
        case missing
        /// Writes, then takes more memory than it may.
        case greedy
        /// Writes, then sleeps until its timeout.
        case timedOut
        /// Writes, then sleeps until it is stopped.
        case stopped
    }

    let number: Int
    let kind: Kind
    let exitCode: Int32
    private let lines: Int
    private let padding: Int
    private let pause: Double

    /// The job of that number, the same each time for the same seed; the first `long` jobs write for `seconds`.
    init(_ number: Int, seed: UInt64, long: Int, seconds: Int) {
        var generator = SeededGenerator(seed: seed &+ UInt64(number) &* 0x9e37_79b9)
        self.number = number
        exitCode = [0, 0, Int32.random(in: 1...99, using: &generator)].randomElement(using: &generator) ?? 0
        if number < long {
            (kind, lines, padding, pause) = (.paced, 500 * seconds, 60, 0.015)
            return
        }
        let kinds: [(Kind, Int)] = [
            (.paced, 10), (.burst, 3), (.silent, 1), (.missing, 1), (.greedy, 1), (.timedOut, 2), (.stopped, 2),
        ]
        let all = kinds.flatMap { Array(repeating: $0.0, count: $0.1) }
        kind = all.randomElement(using: &generator) ?? .paced
        switch kind {
        case .paced:
            lines = Int.random(in: 200...3000, using: &generator)
            (padding, pause) = (Int.random(in: 1...200, using: &generator), 0.01)
        case .burst:
            lines = Int.random(in: 1000...8000, using: &generator)
            (padding, pause) = (1000, 0)
        case .silent, .missing: (lines, padding, pause) = (0, 1, 0)
        case .greedy, .timedOut, .stopped:
            lines = Int.random(in: 1...200, using: &generator)
            (padding, pause) = (100, 0)
        }
    }

    /// What asks for it.
    var request: Joblet_RunJobRequest {
        .with { message in
            message.name = "\(number)"
            message.command = kind == .missing ? "/no/such/command" : "perl"
            message.args = ["-e", FaultJob.program] + [number, lines, padding].map { "\($0)" } + ["\(pause)", then]
            if kind == .greedy { message.maxMemory = 64 }
            if kind == .timedOut { message.timeout = "2s" }
        }
    }

    /// One write a line, every third to stderr; an odd job's last line is not ended.
    private static let program = """
        $| = 1; my ($number, $lines, $padding, $pause, $then) = @ARGV;
        for my $i (0 .. $lines - 1) {
            my $line = "$number line $i " . ("x" x ($i * 7 % $padding)) . "\\n";
            if ($i % 3 == 2) { print STDERR $line } else { print STDOUT $line }
            select(undef, undef, undef, $pause) if $pause > 0 && $i % 10 == 0;
        }
        print STDOUT "end of $number" if $lines > 0 && $number % 2;
        sleep 1000 if $then eq "sleep";
        if ($then eq "eat") { my $size = 400 << 20; my $much = "x" x $size; sleep 1000 }
        exit $then;
        """

    private var then: String {
        switch kind {
        case .timedOut, .stopped: "sleep"
        case .greedy: "eat"
        default: "\(exitCode)"
        }
    }

    /// All that it may write, by stream.
    private var output: [OutputOf: Data] {
        if kind == .missing { return [.stderr: Data("joblet: /no/such/command: command not found\n".utf8)] }
        guard lines > 0 else { return [:] }
        var output: [OutputOf: Data] = [:]
        for line in 0..<lines {
            let text = "\(number) line \(line) " + String(repeating: "x", count: line * 7 % padding) + "\n"
            output[line % 3 == 2 ? .stderr : .stdout, default: Data()] += Data(text.utf8)
        }
        if number % 2 == 1 { output[.stdout, default: Data()] += Data("end of \(number)".utf8) }
        return output
    }

    /// The streams of a log.
    enum OutputOf: Int32, CaseIterable {
        case stdout = 1
        case stderr = 2
    }

    /// Expects exactly what it wrote; of a job that was ended from outside a beginning.
    func expectOutput(_ found: [Int32: Data], _ place: String) {
        let output = output
        for stream in OutputOf.allCases {
            let (expected, found) = (output[stream] ?? Data(), found[stream.rawValue] ?? Data())
            let mayBeShort = kind == .timedOut || kind == .stopped
            let isRight = mayBeShort ? expected.starts(with: found) : expected == found
            #expect(
                isRight, "\(place): \(stream) of job \(number), \(kind): \(difference(expected, found))")
        }
    }

    private func difference(_ expected: Data, _ found: Data) -> String {
        let same = zip(expected, found).prefix { $0 == $1 }.count
        let text = String(decoding: found.dropFirst(same).prefix(60), as: UTF8.self)
        return "\(found.count) of \(expected.count) bytes, from byte \(same) on '\(text)'"
    }

    /// Expects the end that it was made for.
    func expectEnd(_ status: Joblet_GetJobStatusRes, _ place: String) {
        let (name, code, reason, signal): (String, Int32, String?, Int32) =
            switch kind {
            case .missing: ("FAILED", 127, nil, 0)
            case .greedy: ("FAILED", -1, "oom", 9)
            case .timedOut: ("STOPPED", -1, "timeout", status.signal)
            case .stopped: ("STOPPED", -1, "stopped", status.signal)
            case .paced, .burst, .silent: (exitCode == 0 ? "COMPLETED" : "FAILED", exitCode, "", 0)
            }
        #expect(
            status.status == name && status.exitCode == code && status.signal == signal
                && (reason == nil || status.reason == reason),
            "\(place): job \(number), \(kind), should have ended with \(name), \(code): \(status)")
    }
}
