import Foundation
import GRPCCore
import JobletAPI
import SwiftProtobuf
import Synchronization
import Testing

@testable import rnx

@Suite(.serialized, .timeLimit(.minutes(5))) struct MetricsTests {
    private static let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479"

    private static func sample(_ sequence: UInt64, at seconds: Int64 = 1_705_314_601) -> Joblet_JobMetricsSample {
        .with {
            $0.jobID = id
            $0.sequence = sequence
            $0.timestamp = seconds + Int64(sequence) * 5
            $0.timestampNanoseconds = (seconds + Int64(sequence) * 5) * 1_000_000_000 + 7
            $0.sampleIntervalSeconds = 5
            $0.cpu = .with {
                $0.usagePercent = 45.2
                $0.usageUsec = 9_007_199_254_740_993
            }
            $0.memory = .with {
                $0.current = 256 << 20
                $0.peak = 300 << 20
            }
            $0.io = .with {
                $0.readBps = 10 * 1_048_576
                $0.writeBps = 0
                $0.devices = ["8:0": .with { $0.device = "8:0" }]
            }
            $0.process = .with {
                $0.current = 3
                $0.threads = 4
            }
        }
    }

    @Test func `A sample is printed as the documentation shows it`() throws {
        var sample = Self.sample(0)
        #expect(
            sample.text == """
                Timestamp: 2024-01-15T10:30:01Z
                CPU: 45.2%, Memory: 256MB, I/O Read: 10MB/s, I/O Write: 0B/s
                Processes: 3, Threads: 4, Memory Peak: 300MB

                """)
        sample.network = .with {
            $0.rxBps = 1.2 * 1_048_576
            $0.txBps = 800
        }
        #expect(sample.text.contains("\nNetwork RX: 1.2MB/s, Network TX: 800B/s\n"))
        // A server that tells only the time.
        let bare = Joblet_JobMetricsSample.with { $0.timestamp = 1_705_314_601 }
        #expect(bare.text == "Timestamp: 2024-01-15T10:30:01Z\n")
    }

    @Test(
        arguments: [
            (0.0, "0B"), (1, "1B"), (1023, "1023B"), (1024, "1KB"), (1536, "1.5KB"), (1_048_575, "1MB"),
            (1_048_576, "1MB"), (268_435_456, "256MB"), (1.5 * 1_073_741_824, "1.5GB"), (2.0e15, "1819TB"), (-3, "0B"),
        ] as [(Double, String)])
    func `Bytes have a unit and at most one digit behind the point`(_ value: Double, _ text: String) {
        #expect(QuantityText.bytes(value) == text)
    }

    @Test func `With --json each sample is one line with its zeros, and large numbers are exact`() async throws {
        var server = ScriptedServer()
        server.metrics = { request, writer in
            #expect(request.follow)
            #expect(request.since == 0)
            try await writer.write(contentsOf: [Self.sample(0), Self.sample(1)])
        }
        try await withServer(server) { folder, _ in
            let result = try await Program.run(["--json", "job", "metrics", Self.id], in: folder)
            #expect(result.status == 0)
            let lines = result.text.split(separator: "\n")
            #expect(lines.count == 2)
            #expect(lines[0].contains("\"usageUsec\":9007199254740993,"))
            for (index, line) in lines.enumerated() {
                let object = try #require(
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                #expect(object["jobId"] as? String == Self.id)
                #expect(object["sequence"] as? Int == index)
                let cpu = try #require(object["cpu"] as? [String: Any])
                #expect(cpu["usagePercent"] as? Double == 45.2)
                #expect(cpu["nrThrottled"] as? Int == 0)
                #expect(cpu["pressureFull300"] as? Double == 0)
                let io = try #require(object["io"] as? [String: Any])
                #expect(io["writeBPS"] as? Double == 0)
                #expect((io["devices"] as? [String: Any])?.keys.sorted() == ["8:0"])
                #expect(object["gpu"] as? [String] == [])
                #expect(object["network"] == nil)
            }
        }
    }

    @Test func `jq reads the documented expression`() async throws {
        var server = ScriptedServer()
        server.metrics = { _, writer in try await writer.write(Self.sample(0)) }
        try await withServer(server) { folder, _ in
            let expression = "{timestamp, cpu: .cpu.usagePercent, memory: .memory.current}"
            let result = try await Program.run(["--json", "job", "metrics", "f47ac10b"], in: folder)
            try write(result.text, to: folder + "/samples")
            guard FileManager.default.isExecutableFile(atPath: "/usr/bin/jq") else {
                // The same members, read without it.
                #expect(result.text.contains("\"usagePercent\":45.2"))
                return
            }
            let output = Pipe()
            let jq = Process()
            jq.executableURL = URL(filePath: "/usr/bin/jq")
            jq.arguments = ["-c", expression, folder + "/samples"]
            jq.standardOutput = output
            try jq.run()
            let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            jq.waitUntilExit()
            #expect(text == "{\"timestamp\":1705314601,\"cpu\":45.2,\"memory\":268435456}\n")
        }
    }

    @Test func `A range is passed on, and nothing in it is no error`() async throws {
        var server = ScriptedServer()
        server.metrics = { request, _ in
            #expect(!request.follow)
            #expect(request.since == 1_705_314_600_000_000_000)
            #expect(request.until == 1_705_314_660_000_000_000)
        }
        try await withServer(server) { folder, _ in
            let line = ["metrics", "x", "--no-follow", "--from", "2024-01-15T10:30:00Z", "--to=2024-01-15 10:31:00"]
            let result = try await Program.run(line, in: folder)
            #expect(result.status == 0)
            #expect(result.text == "")
        }
    }

    @Test func `A job without samples is an error`() async throws {
        var server = ScriptedServer()
        server.metrics = { _, _ in }
        try await withServer(server) { folder, _ in
            let result = try await Program.run(["job", "metrics", "x"], in: folder)
            #expect(result.status == 1)
            #expect(result.errors == "Error: no metrics available for job x\n")
        }
    }

    @Test func `Samples go on where they stopped when the server comes back`() async throws {
        let calls = Mutex(0)
        var server = ScriptedServer()
        server.metrics = { request, writer in
            let call = calls.withLock { calls in
                calls += 1
                return calls
            }
            if call == 1 {
                try await writer.write(contentsOf: [Self.sample(0), Self.sample(1)])
                throw RPCError(code: .unavailable, message: "the node is shutting down")
            }
            #expect(request.since == Self.sample(1).timestampNanoseconds)
            try await writer.write(contentsOf: [Self.sample(1), Self.sample(2)])
        }
        try await withServer(server) { folder, _ in
            let result = try await Program.run(["--json", "metrics", "x"], in: folder)
            #expect(result.status == 0)
            let sequences = try result.text.split(separator: "\n").map { line in
                let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                return object?["sequence"] as? Int
            }
            #expect(sequences == [0, 1, 2])
            #expect(result.errors == "[joblet: connection lost, trying again]\n")
        }
    }
}
