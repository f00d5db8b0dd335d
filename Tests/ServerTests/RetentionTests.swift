import DaemonSupport
import Foundation
import JobletAPI
import SwiftProtobuf
import Testing

extension DaemonTests {
    /// What a daemon drops by itself.
    @Suite struct RetentionTests {
        @Test func `old output is archived and dropped, then the record; a job that runs is not touched`() async throws {
            let archive = URL(fileURLWithPath: NSTemporaryDirectory()).appendingPathComponent(UUID().uuidString)
            defer { try? FileManager.default.removeItem(at: archive) }
            let settings = [
                "storage.logs.retention.maxAge": "1s", "storage.logs.retention.cleanupInterval": "1s",
                "storage.logs.retention.action": "archive",
                "storage.logs.retention.archiveDirectory": archive.path,
                "storage.metrics.retention.maxAge": "1s", "storage.metrics.retention.cleanupInterval": "1s",
                "storage.state.retention.maxAge": "1s", "storage.state.retention.cleanupInterval": "1s",
            ]
            try await DaemonProcess.run(settings) { daemon in
                try await daemon.connect { client in
                    let running = try await client.shell("echo still here; exec sleep 1000").jobUuid
                    let ended = try await client.shell("echo kept elsewhere").jobUuid
                    _ = try await client.end(of: ended)
                    #expect(
                        await holds {
                            let jobs = try? await client.jobs.listJobs(.init()).jobs.map(\.uuid)
                            return jobs == [running]
                        })
                    #expect(try await client.text(running) { $0.follow = false } == "still here\n")
                    let file = archive.appendingPathComponent("logs/\(ended)/stdout.log.gz").path
                    #expect(FileManager.default.fileExists(atPath: file))
                    #expect(daemon.process?.output.contains("retention") == true)
                    _ = try await client.jobs.stopJob(.with { $0.uuid = running })
                }
            }
        }
    }
}
