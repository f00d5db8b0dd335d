import DaemonSupport
import Foundation
import GRPCCore
import JobletAPI
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    @Suite(.daemon(["uploads.maxBytes": "8MB"])) struct UploadTests {}
}

/// How files reach the server.
enum UploadWay: String, CaseIterable, Sendable {
    /// In the request itself.
    case request
    /// In a stream of pieces.
    case stream

    /// Runs a script with these files.
    func run(
        _ script: String, _ files: [Joblet_FileUpload], _ client: DaemonClient
    ) async throws -> Joblet_RunJobResponse {
        let request = Joblet_RunJobRequest.with { message in
            message.command = "sh"
            message.args = ["-c", script]
            if self == .request { message.uploads = files }
        }
        guard self == .stream else { return try await client.jobs.runJob(request) }
        var parts: [Joblet_Ext_RunJobPart] = [.with { $0.request = request }]
        for file in files {
            parts.append(
                .with { part in
                    part.header.path = file.path
                    part.header.mode = file.mode
                    part.header.isDirectory = file.isDirectory
                    part.header.size = UInt64(file.content.count)
                })
            for start in stride(from: 0, to: file.content.count, by: 100_000) {
                parts.append(.with { $0.content = file.content.dropFirst(start).prefix(100_000) })
            }
        }
        return try await client.send(parts)
    }
}

extension DaemonClient {
    /// Sends the parts of an upload.
    func send(_ parts: [Joblet_Ext_RunJobPart]) async throws -> Joblet_RunJobResponse {
        try await transfer.runJobWithUploads(
            requestProducer: { writer in for part in parts { try await writer.write(part) } })
    }
}

/// Files with the sizes that their headers announce, and how they are refused.
struct Announcement: Sendable, CustomTestStringConvertible {
    let files: [(size: UInt64, content: String)]
    let message: String

    init(_ files: [(size: UInt64, content: String)], _ message: String) {
        self.files = files
        self.message = message
    }

    var testDescription: String { message }
}

private func file(_ path: String, _ text: String = "x", mode: UInt32 = 0) -> Joblet_FileUpload {
    .with {
        $0.path = path; $0.content = Data(text.utf8); $0.mode = mode
    }
}

private func folder(_ path: String, mode: UInt32 = 0) -> Joblet_FileUpload {
    .with {
        $0.path = path; $0.isDirectory = true; $0.mode = mode
    }
}

extension DaemonTests.UploadTests {
    @Test(arguments: UploadWay.allCases)
    func `files and directories arrive with their modes`(way: UploadWay) async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            var generator = SeededGenerator(seed: 7)
            let bytes = Data(generator.bytes(300_000))
            // A mode may be POSIX's with the type of file, or Go's, whose bit 31 marks a directory.
            let job = try await way.run(
                "find . -mindepth 1 -printf '%P %y %m %s\\n' | sed 's/ d \\([0-9]*\\) .*/ d \\1/' | LC_ALL=C sort",
                [
                    file("plain"), file("empty", ""), file("run.sh", "#!/bin/sh\n", mode: 0o755),
                    file("private", mode: 0o100600), file("setuid", mode: 0o104755),
                    folder("open", mode: 0x8000_0000 | 0o775), folder("default"), folder("closed", mode: 0o40700),
                    .with {
                        $0.path = "data/blob"; $0.content = bytes
                    }, file("./a//b/./c"), file("ünï cödé"),
                    folder("data", mode: 0o750), folder("closed/in", mode: 0o711),
                ], client
            ).jobUuid
            let lines = try await client.text(job).split(separator: "\n").map(String.init)
            #expect(
                lines == [
                    "a d 755", "a/b d 755", "a/b/c f 644 1", "closed d 700", "closed/in d 711", "data d 750",
                    "data/blob f 644 300000", "default d 755", "empty f 644 0", "open d 775", "plain f 644 1",
                    "private f 600 1", "run.sh f 755 10", "setuid f 755 1", "ünï cödé f 644 1",
                ])
            let names = try await client.status(job).uploads
            #expect(names.contains("a/b/c"))
            #expect(names.contains("empty"))
            let copy = try await way.run(
                "cat blob",
                [
                    .with {
                        $0.path = "blob"; $0.content = bytes
                    }
                ], client
            ).jobUuid
            #expect(try await client.log(copy) == bytes)
            _ = try await client.end(of: copy)
            #expect(await holds { DaemonTests.UploadTests.staged(daemon) == [] })
        }
    }

    private static func staged(_ daemon: DaemonProcess) -> [String] { names(in: "\(daemon.dataDirectory)/staging") }

    @Test(arguments: UploadWay.allCases)
    func `a hostile path is refused and nothing is left`(way: UploadWay) async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let before = try await client.jobs.listJobs(.init()).jobs.count
            let long = String(repeating: "a", count: 256)
            for (path, shown, reason) in [
                ("/etc/passwd", "/etc/passwd", "it is absolute"),
                ("../../etc/passwd", "../../etc/passwd", "it leaves the work directory"),
                ("a/../../b", "a/../../b", "it leaves the work directory"),
                ("..", "..", "it leaves the work directory"),
                ("a\0b", "a\0b", "it contains a null byte"), ("", "", "it names the work directory itself"),
                ("./.", "", "it names the work directory itself"),
                (long, String(long.prefix(128)), "a name in it is too long"),
                (String(repeating: "a/", count: 2048), String(repeating: "a/", count: 64), "it is too long"),
            ] {
                await expectRefusal(.invalidArgument, "invalid path '\(shown)': \(reason)") {
                    try await way.run("true", [file("first"), file(path)], client)
                }
            }
            await expectRefusal(.invalidArgument, "path 'same' is uploaded twice") {
                try await way.run("true", [file("same"), file("./same")], client)
            }
            await expectRefusal(.invalidArgument, "path 'same' is uploaded twice") {
                try await way.run("true", [folder("same"), folder("same")], client)
            }
            await expectRefusal(.invalidArgument, "cannot store upload 'file/below': open: Not a directory") {
                try await way.run("true", [file("file"), file("file/below")], client)
            }
            await expectRefusal(.invalidArgument, "cannot store upload 'folder': open folder: File exists") {
                try await way.run("true", [file("folder/below"), file("folder")], client)
            }
            #expect(DaemonTests.UploadTests.staged(daemon) == [])
            #expect(try await client.jobs.listJobs(.init()).jobs.count == before)
        }
    }

    @Test(arguments: UploadWay.allCases)
    func `uploads up to the limit pass, a byte more is refused`(way: UploadWay) async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let half = Data(repeating: 1, count: 4 << 20)
            var files: [Joblet_FileUpload] = [
                .with {
                    $0.path = "a"; $0.content = half
                },
                .with {
                    $0.path = "b"; $0.content = half
                },
            ]
            let job = try await way.run("cat a b | wc -c", files, client).jobUuid
            #expect(try await client.text(job) == "8388608\n")
            files.append(file("c"))
            await expectRefusal(.resourceExhausted, "uploads are larger than the server's limit of 8388608 bytes") {
                try await way.run("true", files, client)
            }
            #expect(await holds { DaemonTests.UploadTests.staged(daemon) == [] })
        }
    }

    @Test func `a stream of parts in the wrong order is refused`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let request = Joblet_Ext_RunJobPart.with { $0.request.command = "true" }
            let header = Joblet_Ext_RunJobPart.with { $0.header.path = "a" }
            let content = Joblet_Ext_RunJobPart.with { $0.content = Data("x".utf8) }
            for (parts, message) in [
                ([], "no request was sent"),
                ([header], "the request must come first"),
                ([content], "upload content without a file"),
                ([request, request], "the request was sent twice"),
                ([request, content], "upload content without a file"),
                ([request, header, .init()], "an empty part of an upload"),
                (
                    [
                        .with {
                            $0.request = .with {
                                $0.command = "true"; $0.uploads = [file("a")]
                            }
                        }
                    ],
                    "uploads belong into the stream, not into the request"
                ),
                ([.with { $0.request = .init() }], "invalid request: command is required"),
            ] as [([Joblet_Ext_RunJobPart], String)] {
                await expectRefusal(.invalidArgument, message) { try await client.send(parts) }
            }
            #expect(DaemonTests.UploadTests.staged(daemon) == [])
        }
    }

    @Test(
        "a file that is not as long as announced is refused",
        arguments: [
            Announcement([(2, "x")], "upload 'f0' has 1 bytes instead of the 2 announced"),
            Announcement([(2, "x"), (1, "y")], "upload 'f0' has 1 bytes instead of the 2 announced"),
            Announcement([(1, "x"), (1, "")], "upload 'f1' has 0 bytes instead of the 1 announced"),
            Announcement([(1, "x"), (1, "yz")], "upload 'f1' is longer than the 1 bytes announced"),
            Announcement([(0, "x")], "upload 'f0' is longer than the 0 bytes announced"),
        ])
    func announced(_ upload: Announcement) async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            var parts: [Joblet_Ext_RunJobPart] = [.with { $0.request.command = "true" }]
            for (index, (size, content)) in upload.files.enumerated() {
                parts.append(
                    .with { part in
                        part.header.path = "f\(index)"; part.header.size = size
                    })
                if !content.isEmpty { parts.append(.with { $0.content = Data(content.utf8) }) }
            }
            await expectRefusal(.invalidArgument, upload.message) { try await client.send(parts) }
            #expect(DaemonTests.UploadTests.staged(daemon) == [])
        }
    }

    @Test func `a file that is announced above the limit is refused before it travels`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            for size: UInt64 in [8_388_609, .max] {
                let header = Joblet_Ext_RunJobPart.with { part in
                    part.header.path = "a"; part.header.size = size
                }
                await expectRefusal(.resourceExhausted, "uploads are larger than the server's limit of 8388608 bytes") {
                    try await client.send([.with { $0.request.command = "true" }, header])
                }
            }
        }
    }

    @Test func `an upload that breaks off leaves nothing`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let before = try await client.jobs.listJobs(.init()).jobs.count
            await #expect(throws: (any Error).self) {
                try await client.transfer.runJobWithUploads(requestProducer: { writer in
                    try await writer.write(.with { $0.request.command = "true" })
                    try await writer.write(
                        .with { part in
                            part.header.path = "a"; part.header.size = 2 << 20
                        })
                    try await writer.write(.with { $0.content = Data(count: 1 << 20) })
                    _ = await holds { !DaemonTests.UploadTests.staged(daemon).isEmpty }
                    throw CancellationError()
                })
            }
            #expect(await holds { DaemonTests.UploadTests.staged(daemon) == [] })
            #expect(try await client.jobs.listJobs(.init()).jobs.count == before)
        }
    }
}

extension DaemonTests {
    @Suite(.daemon()) struct CopyTests {}
}

extension DaemonTests.CopyTests {
    /// A copied entry: its header without the size, and its content.
    struct Entry: Equatable {
        var path: String
        var mode: UInt32
        var isDirectory = false
        var link = ""
        var content = ""
        var isLeftOut = false
    }

    private func copy(_ job: String, _ path: String, _ client: DaemonClient) async throws -> [Entry] {
        let request = Joblet_Ext_CopyFromJobRequest.with {
            $0.uuid = job; $0.path = path
        }
        return try await client.transfer.copyFromJob(request) { response in
            var entries: [Entry] = []
            for try await chunk in response.messages {
                switch chunk.part {
                case .header(let header):
                    entries.append(
                        Entry(
                            path: String(decoding: header.path, as: UTF8.self), mode: header.mode,
                            isDirectory: header.isDirectory,
                            link: String(decoding: header.symlinkTarget, as: UTF8.self), isLeftOut: header.leftOut))
                case .content(let bytes):
                    try #require(!entries.isEmpty)
                    entries[entries.count - 1].content += String(decoding: bytes, as: UTF8.self)
                case nil: Issue.record("an empty piece")
                }
            }
            return entries
        }
    }

    private static let script = """
        mkdir -p tree/deep; echo one > tree/one; echo two > tree/deep/two; : > tree/empty; chmod 600 tree/one
        chmod 750 tree/deep; ln -s /etc/passwd tree/absolute; ln -s one tree/relative; ln -s / root; mkfifo tree/fifo
        head -c 1000000 /dev/zero | tr '\\0' y > big
        """

    @Test func `what a job left in its work directory is copied out`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell(Self.script) { $0.keepWork = true }.jobUuid
            #expect(try await client.end(of: job).status == "COMPLETED")
            let tree = [
                Entry(path: "", mode: 0o755, isDirectory: true),
                Entry(path: "absolute", mode: 0o777, link: "/etc/passwd"),
                Entry(path: "deep", mode: 0o750, isDirectory: true),
                Entry(path: "deep/two", mode: 0o644, content: "two\n"),
                Entry(path: "empty", mode: 0o644),
                Entry(path: "fifo", mode: 0, isLeftOut: true),
                Entry(path: "one", mode: 0o600, content: "one\n"),
                Entry(path: "relative", mode: 0o777, link: "one"),
            ]
            for path in ["tree", "/work/tree", "./tree/", "/work//tree/."] {
                #expect(try await copy(job, path, client) == tree, "\(path)")
            }
            #expect(
                try await copy(String(job.prefix(8)), "tree/one", client) == [
                    Entry(path: "", mode: 0o600, content: "one\n")
                ])
            let big = try await copy(job, "/work/big", client)
            #expect(big == [Entry(path: "", mode: 0o644, content: String(repeating: "y", count: 1_000_000))])
            let all = try await copy(job, "/work", client)
            #expect(all.count { $0.path.hasPrefix("tree/") } == tree.count - 1)
            #expect(all.contains(Entry(path: "root", mode: 0o777, link: "/")))
        }
    }

    @Test func `a copy never leaves the work directory`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let job = try await client.shell(Self.script) { $0.keepWork = true }.jobUuid
            _ = try await client.end(of: job)
            await expectRefusal(.invalidArgument, "invalid path '../certs': it leaves the work directory") {
                try await copy(job, "../certs", client)
            }
            await expectRefusal(.invalidArgument, "only files below /work can be copied, not '/etc/passwd'") {
                try await copy(job, "/etc/passwd", client)
            }
            await expectRefusal(.invalidArgument, "only files below /work can be copied, not '/workshop'") {
                try await copy(job, "/workshop", client)
            }
            for path in ["root/etc/passwd", "tree/absolute/x", "/work/root/"] {
                do {
                    let entries = try await copy(job, path, client)
                    // A link itself may be copied; what it points to never is.
                    #expect(entries == [Entry(path: "", mode: 0o777, link: "/")], "\(path)")
                } catch let error as RPCError {
                    #expect(error.code == .invalidArgument, "\(path): \(error)")
                }
            }
            await #expect(throws: RPCError.self) { try await copy(job, "no/such/file", client) }
            do {
                _ = try await copy(job, "nothing", client)
            } catch let error as RPCError {
                #expect(error.code == .notFound, "\(error)")
            }
            await expectRefusal(.invalidArgument, "uuid is required") { try await copy("", "x", client) }
            try await daemon.connect(as: .viewer) { viewer in
                await expectRefusal(
                    .permissionDenied, "role viewer is not allowed to perform operation copy_from_job"
                ) { try await copy(job, "tree", viewer) }
            }
            _ = try await client.jobs.deleteJob(.with { $0.uuid = job })
            #expect(await holds { names(in: "\(daemon.dataDirectory)/work").allSatisfy { $0 != job } })
        }
    }

    @Test func `a job that does not keep its work directory has nothing to copy`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let job = try await client.shell("echo x > file").jobUuid
            await expectRefusal(
                .failedPrecondition, "job \(job) does not keep its work directory (run it with --keep-work)"
            ) { try await copy(job, "file", client) }
        }
    }
}
