import DaemonSupport
import Foundation
import Glibc
import JobletAPI
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    @Suite struct SecretTests {
        @Test func `a secret reaches its job and is nowhere in the clear`() async throws {
            try await DaemonProcess.run(["logging.level": "DEBUG"]) { daemon in
                let secret = "s3cret-\(UUID().uuidString)"
                let backwards = String(secret.reversed())
                let job = try await daemon.connect { client in
                    let job = try await client.shell("printf %s \"$TOKEN\" | rev; echo; exec sleep 1000") { request in
                        request.secretEnvironment = ["TOKEN": secret]
                        request.environment = ["OPEN": "open-\(backwards)"]
                    }.jobUuid
                    try await client.waitForOutput(backwards, of: job)
                    return job
                }
                try await checkAnswers(daemon, job)
                #expect(filesContaining(secret, in: daemon.directory.path) == [])
                // The search finds what is there: the open variable is in the journal or the database.
                #expect(!filesContaining("open-\(backwards)", in: daemon.directory.path).isEmpty)

                await daemon.stop(SIGKILL)
                try await daemon.start()
                try await checkAnswers(daemon, job)
                try await daemon.connect { client in
                    _ = try await client.jobs.stopJob(.with { $0.uuid = job })
                    #expect(try await client.text(job) == "\(backwards)\n")
                }
                try await checkAnswers(daemon, job)
                #expect(await daemon.stop(SIGTERM) == 0)
                #expect(filesContaining(secret, in: daemon.directory.path) == [])
                #expect(!daemon.output.contains(secret))
            }
        }

        @Test func `another key opens no secret, and a damaged one stops the daemon`() async throws {
            try await DaemonProcess.run { daemon in
                let path = "\(daemon.dataDirectory)/node.key"
                let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
                #expect(mode?.intValue == 0o600)
                #expect(await daemon.stop(SIGTERM) == 0)
                try Data("short".utf8).write(to: URL(filePath: path))
                let process = try daemon.launch()
                #expect(await process.end() == 1)
                #expect(process.output.contains("node key: \(path) does not hold 32 bytes"), "\(process.output)")
            }
        }
    }
}

private func checkAnswers(_ daemon: DaemonProcess, _ job: String) async throws {
    for caller in [Caller.admin, .viewer] {
        try await daemon.connect(as: caller) { client in
            #expect(try await client.status(job).secretEnvironment == ["TOKEN": "***"])
            let listed = try await client.jobs.listJobs(.init()).jobs
            #expect(listed.map(\.secretEnvironment) == [["TOKEN": "***"]])
        }
    }
}

/// The files below `directory` that contain `text`.
private func filesContaining(_ text: String, in directory: String) -> [String] {
    let files = FileManager.default.enumerator(atPath: directory)?.allObjects as? [String] ?? []
    return files.filter { name in
        guard let bytes = FileManager.default.contents(atPath: "\(directory)/\(name)") else { return false }
        return bytes.range(of: Data(text.utf8)) != nil
    }
}
