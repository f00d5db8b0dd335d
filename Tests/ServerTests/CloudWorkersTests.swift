import AWSSupport
import DaemonSupport
import Foundation
import Glibc
import JobletAPI
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    /// Output and samples in S3, and job records in DynamoDB, as moto's server speaks them.
    @Suite struct CloudWorkersTests {}
}

extension DaemonTests.CloudWorkersTests {
    private static func settings(_ endpoint: String) -> [String: String] {
        let name = UUID().uuidString.lowercased()
        return [
            "storage.mode": "workers", "storage.query.address": "\"\"",
            "storage.logs.backend": "s3", "storage.logs.s3.bucket": "logs-\(name)",
            "storage.logs.s3.endpoint": "\"\(endpoint)\"", "storage.logs.s3.createBucket": "true",
            "storage.metrics.backend": "s3",
            "storage.state.backend": "dynamodb", "storage.state.dynamodb.table": "jobs-\(name)",
            "storage.state.dynamodb.endpoint": "\"\(endpoint)\"", "storage.state.dynamodb.createTable": "true",
        ]
    }

    private func daemon(_ settings: [String: String]) throws -> DaemonProcess {
        let daemon = try DaemonProcess(settings)
        for (name, value) in [
            ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "eu-central-1"),
        ] {
            daemon.setEnvironment(name, value)
        }
        return daemon
    }

    @Test func `jobs are kept in the cloud through killed workers and a killed daemon`() async throws {
        let server = try MotoServer()
        // Moto checks a condition and writes in two steps, between which a killed worker's last call may come.
        let cloud = try FaultProxy.start(
            upstream: server.port, keepsRequests: false, isPassedAlone: { !$0.operation.isEmpty }
        ) { _ in .pass }
        let daemon = try daemon(Self.settings(cloud.endpoint))
        do {
            try await daemon.start()
            var jobs: [String] = []
            try await daemon.connect { client in
                for number in 0..<4 {
                    jobs.append(
                        try await client.shell("for i in $(seq 1 3000); do echo \(number) $i; done; exit \(number)")
                            .jobUuid)
                    for worker in ["persist", "state"] {
                        for pid in daemon.workers(worker) { kill(pid, SIGKILL) }
                    }
                }
            }
            await daemon.stop(SIGKILL)
            try await daemon.start()
            try await daemon.connect { client in
                for (number, job) in jobs.enumerated() {
                    let end = try await client.end(of: job)
                    #expect(end.exitCode == Int32(number), "\(end)")
                }
                #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                for (number, job) in jobs.enumerated() {
                    #expect(try await client.text(job) == (1...3000).map { "\(number) \($0)\n" }.joined())
                    let samples = try await client.samples(job)
                    #expect(samples.count >= 2)
                    #expect(samples.map(\.sequence) == Array(0..<UInt64(samples.count)))
                }
            }
            // Nothing of them is on this machine.
            #expect(!FileManager.default.fileExists(atPath: "\(daemon.dataDirectory)/logs"))
            #expect(!FileManager.default.fileExists(atPath: "\(daemon.dataDirectory)/metrics"))
            #expect(!FileManager.default.fileExists(atPath: "\(daemon.dataDirectory)/state/jobs.db"))
        } catch {
            await daemon.end()
            throw error
        }
        await daemon.end()
    }

    @Test func `the oldest part of what a large job wrote goes, and the bucket has the rule that was asked for`()
        async throws
    {
        let server = try MotoServer()
        var settings = Self.settings(server.endpoint)
        settings["storage.logs.s3.lifecycle"] = "true"
        settings["storage.logs.retention.maxJobBytes"] = "20000"
        settings["storage.logs.retention.cleanupInterval"] = "1s"
        let daemon = try daemon(settings)
        do {
            try await daemon.start()
            try await daemon.connect { client in
                let job = try await client.shell("head -c 300000 /dev/urandom | base64; echo the end").jobUuid
                _ = try await client.end(of: job)
                #expect(await holds { (try? await client.text(job).utf8.count) ?? .max < 40_000 })
                #expect(try await client.text(job).hasSuffix("the end\n"))
            }
            let rules = try await server.get("/\(settings["storage.logs.s3.bucket"] ?? "")?lifecycle")
            #expect(rules.contains("<NoncurrentDays>7</NoncurrentDays>"), "\(rules)")
        } catch {
            await daemon.end()
            throw error
        }
        await daemon.end()
    }

    @Test func `a bucket that is missing ends the start with the reason`() async throws {
        let server = try MotoServer()
        var settings = Self.settings(server.endpoint)
        settings["storage.logs.s3.createBucket"] = "false"
        let daemon = try daemon(settings)
        let process = try daemon.launch()
        #expect(await process.end() == 1)
        #expect(process.output.contains(settings["storage.logs.s3.bucket"] ?? "?"), "\(process.output)")
        await daemon.end()
    }
}
