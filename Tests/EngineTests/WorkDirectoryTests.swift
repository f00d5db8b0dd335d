import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

/// Work directories on disk: what they hold, and how much.
@Suite(.enabled(if: Host.isRoot, "needs root"))
struct WorkDirectoryTests {
    private static func isMounted(_ path: String) throws -> Bool {
        try readText("/proc/self/mounts").split(separator: "\n").contains { $0.split(separator: " ")[1] == path }
    }

    @Test func `a job cannot write more than its work directory holds, and what it left stays until it is deleted`()
        async throws
    {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.workDiskBytes = 32 << 20 }) { engine in
            let script =
                "ls -A; echo kept > note; head -c 100000000 /dev/zero > flood; stat -c %s flood; stat -c %u . note"
            let job = try await engine.run(JobRequest.script(script))
            #expect(try await engine.end(of: job.id).status == .completed)
            let text = try await engine.text(of: job.id)
            let lines = text.split(separator: "\n").filter { !$0.contains("No space left") }
            #expect(lines.count == 3, "\(text)")
            #expect((20 << 20..<32 << 20).contains(lines.first.flatMap { Int($0) } ?? 0), "\(text)")
            #expect(lines.dropFirst() == ["0", "0"], "\(text)")
            #expect(try await WorkDirectoryTests.read("note", of: job.id, in: engine) == "kept\n")
            try await engine.delete(job.id)
            #expect(await soon { !Directory.exists(harness.work(of: job.id)) })
            #expect(!Directory.exists(harness.work(of: job.id) + ".img"))
        }
        #expect(try !WorkDirectoryTests.isMounted(harness.directory.path))
    }

    @Test func `what a job left is mounted while it is read, and no device is held for it`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.workDiskBytes = 32 << 20 }) { engine in
            let job = try await engine.run(JobRequest.script("echo kept > note; echo more > other"))
            _ = try await engine.end(of: job.id)
            let path = harness.work(of: job.id)
            func isFree() async throws -> Bool {
                try await soon {
                    try !WorkDirectoryTests.isMounted(path) && WorkDirectoryTests.devices(of: path).isEmpty
                }
            }
            #expect(try await isFree())
            #expect(try Directory.names(in: path) == [])
            // Two readers: the mount goes with the last.
            let content = try await WorkDirectoryTests.read("other", of: job.id, in: engine) { () async throws in
                #expect(try WorkDirectoryTests.isMounted(path))
                #expect(try await WorkDirectoryTests.read("note", of: job.id, in: engine) == "kept\n")
                #expect(try WorkDirectoryTests.isMounted(path))
                #expect(try WorkDirectoryTests.devices(of: path).count == 1)
            }
            #expect(content == "more\n")
            #expect(try await isFree())
            // One that fails lets go, too.
            await #expect(throws: EngineError.self) {
                try await WorkDirectoryTests.read("missing", of: job.id, in: engine)
            }
            #expect(try await isFree())
            try await engine.delete(job.id)
            #expect(await soon { !Directory.exists(path) && !Directory.exists(path + ".img") })
        }
    }

    @Test func `whoever copies at the same time gets all of it, and what a killed daemon left mounted is unmounted`()
        async throws
    {
        let harness = try EngineHarness()
        let path: String
        let first = try await harness.engine(configure: { $0.workDiskBytes = 32 << 20 })
        let job = try await first.run(JobRequest.script("echo kept > note"))
        _ = try await first.end(of: job.id)
        path = harness.work(of: job.id)
        // Each opens while another one closes.
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<25 {
                        let text = try? await WorkDirectoryTests.read("note", of: job.id, in: first)
                        #expect(text == "kept\n")
                    }
                }
            }
        }
        #expect(try await soon { try !WorkDirectoryTests.isMounted(path) })
        await first.shutdown(stoppingJobs: true)
        let mount = try Process.run(
            URL(filePath: "/bin/mount"), arguments: ["-o", "loop", path + ".img", path])
        mount.waitUntilExit()
        #expect(try WorkDirectoryTests.isMounted(path))
        try await harness.withEngine(configure: { $0.workDiskBytes = 32 << 20 }) { (engine) async throws in
            #expect(
                try await soon {
                    try !WorkDirectoryTests.isMounted(path) && WorkDirectoryTests.devices(of: path).isEmpty
                })
            #expect(try await WorkDirectoryTests.read("note", of: job.id, in: engine) == "kept\n")
            // A path that is refused leaves nothing mounted.
            await #expect(throws: EngineError.self) {
                try await WorkDirectoryTests.read("../note", of: job.id, in: engine)
            }
            #expect(try await soon { try !WorkDirectoryTests.isMounted(path) })
        }
    }

    @Test func `the files of a job that runs are never shown by a second device`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: { $0.workDiskBytes = 32 << 20 }) { engine in
            let job = try await engine.run(
                JobRequest.script("echo one > note; mkfifo go; touch ready; read x < go; echo two >> note"))
            let path = harness.work(of: job.id)
            #expect(await soon { Directory.exists(path + "/ready") })
            // The job's own mount stays.
            #expect(umount2(path, 0) == 0)
            #expect(try await WorkDirectoryTests.read("note", of: job.id, in: engine) == "one\n")
            #expect(try WorkDirectoryTests.devices(of: path).count == 1)
            #expect(try WorkDirectoryTests.isMounted(path))
            try Data("\n".utf8).write(to: URL(filePath: path + "/go"))
            _ = try await engine.end(of: job.id)
            #expect(try await WorkDirectoryTests.read("note", of: job.id, in: engine) == "one\ntwo\n")
        }
    }

    /// The loop devices that show the image of a work directory.
    private static func devices(of path: String) throws -> [String] {
        try Directory.names(in: "/sys/block").filter { name in
            (try? readText("/sys/block/\(name)/loop/backing_file"))?.hasPrefix(path) == true
        }
    }

    /// The content of a file that a job left; `meanwhile` is called once it was begun.
    @discardableResult
    private static func read(
        _ name: String, of job: JobID, in engine: JobEngine, meanwhile: () async throws -> Void = {}
    ) async throws -> String {
        var content: [UInt8] = []
        try await engine.readKeptFiles(of: job, path: name) { piece in
            switch piece {
            case .entry: try await meanwhile()
            case .content(let bytes): content += bytes
            }
        }
        return String(decoding: content, as: UTF8.self)
    }

    @Test func `large uploads lie on disk, and are gone after the job`() async throws {
        let harness = try EngineHarness()
        try await harness.withEngine(configure: {
            $0.workMemoryBytes = 1 << 20
            $0.workDiskBytes = 32 << 20
        }) { engine in
            let id = JobID.random()
            let staging = engine.stage(for: id)
            try await staging.beginFile(try WorkPath("large"), mode: 0o644)
            for _ in 0..<4 { try await staging.write([UInt8](repeating: 7, count: 1 << 20)) }
            let job = try await engine.run(
                JobRequest("sh", "-c", "stat -c %s large; stat -f -c %T ."), id: id, uploads: staging)
            #expect(try await engine.end(of: job.id).status == .completed)
            #expect(try await engine.text(of: job.id) == "4194304\next2/ext3\n")
            #expect(await soon { !Directory.exists(harness.work(of: job.id)) })
        }
    }
}
