import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

struct UploadTests {
    @Test(arguments: [
        "/etc/passwd", "..", "a/..", "../a", "a/../../b", "a\0b", String(repeating: "x", count: 256),
        String(repeating: "a/", count: 2048),
    ])
    func `a path that is absolute, leaves, or cannot be is refused`(text: String) {
        #expect(throws: EngineError.self) { try WorkPath(text) }
    }

    @Test(arguments: [
        ("", ""), (".", ""), ("./", ""), ("a", "a"), ("./a//b/./c/", "a/b/c"), ("...", "..."), ("a..b", "a..b"),
        ("..\u{301}", "..\u{301}"), ("a\nb", "a\nb"), ("-rf", "-rf"), ("a b", "a b"),
    ])
    func `a path is the parts that name something`(text: String, path: String) throws {
        #expect("\(try WorkPath(text))" == path)
    }

    @Test func `a slash before a combining mark is a slash`() throws {
        // Among characters it is none: "/" and U+0301 are one.
        #expect(throws: EngineError.self) { try WorkPath("../\u{301}x") }
        #expect(throws: EngineError.self) { try WorkPath("/\u{301}x") }
        #expect(try WorkPath("a/\u{301}x").components.map { Array($0.utf8) } == [[0x61], [0xcc, 0x81, 0x78]])
    }

    private func staging(limit: Int64 = 1 << 20) throws -> (UploadStaging, TemporaryDirectory) {
        let directory = try TemporaryDirectory()
        return (UploadStaging(directory: directory.path + "/staging", job: .random(), limit: limit), directory)
    }

    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    @Test func `files and directories come with their modes, set-user-ID never`() async throws {
        let (staging, directory) = try staging()
        try await staging.makeDirectory(try WorkPath("d"), mode: 0o2750)
        try await staging.beginFile(try WorkPath("d/run.sh"), mode: 0o104755)
        try await staging.write(Array("#!/bin/sh\n".utf8))
        try await staging.write(Array("exit 0\n".utf8))
        try await staging.beginFile(try WorkPath("deep/er/plain"), mode: 0)
        #expect(mode(staging.path + "/d") == 0o750)
        #expect(mode(staging.path + "/d/run.sh") == 0o755)
        #expect(mode(staging.path + "/deep/er/plain") == 0o644)
        #expect(try readText(staging.path + "/d/run.sh") == "#!/bin/sh\nexit 0\n")
        #expect(try readText(staging.path + "/deep/er/plain") == "")
        #expect(await staging.files == ["d/run.sh", "deep/er/plain"])
        await staging.discard()
        #expect(!Directory.exists(staging.path))
        withExtendedLifetime(directory) {}
    }

    @Test func `what is uploaded twice, as itself, or below a file is refused`() async throws {
        let (staging, directory) = try staging()
        try await staging.beginFile(try WorkPath("a"), mode: 0o600)
        for path in ["a", "./a", "a/b", ""] {
            do {
                try await staging.beginFile(try WorkPath(path), mode: 0o600)
                Issue.record("accepted '\(path)'")
            } catch {
                #expect(error.code == .invalidArgument, "\(error)")
            }
        }
        await #expect(throws: EngineError.self) { try await staging.makeDirectory(try WorkPath("a"), mode: 0o700) }
        withExtendedLifetime(directory) {}
    }

    @Test func `content without a file is refused, also behind a directory`() async throws {
        let (staging, directory) = try staging()
        await #expect(throws: EngineError.self) { try await staging.write([1]) }
        try await staging.beginFile(try WorkPath("a"), mode: 0o600)
        try await staging.makeDirectory(try WorkPath("d"), mode: 0o700)
        await #expect(throws: EngineError.self) { try await staging.write([1]) }
        #expect(try readText(staging.path + "/a") == "")
        withExtendedLifetime(directory) {}
    }

    @Test func `uploads over the limit are refused at the byte`() async throws {
        let (staging, directory) = try staging(limit: 10)
        try await staging.beginFile(try WorkPath("a"), mode: 0o600)
        try await staging.write(Array(repeating: 1, count: 6))
        try await staging.beginFile(try WorkPath("b"), mode: 0o600)
        try await staging.write(Array(repeating: 1, count: 4))
        do {
            try await staging.write([1])
            Issue.record("accepted")
        } catch {
            #expect(error.code == .resourceExhausted)
        }
        withExtendedLifetime(directory) {}
    }

    @Test func `links planted in the staging area are not followed`() async throws {
        let (staging, directory) = try staging()
        let outside = directory.path + "/outside"
        try Directory.create(outside)
        try await staging.makeDirectory(try WorkPath("d"), mode: 0o700)
        #expect(symlink(outside, staging.path + "/link") == 0)
        #expect(symlink(outside + "/file", staging.path + "/d/file") == 0)
        for path in ["link/file", "d/file"] {
            await #expect(throws: EngineError.self) { try await staging.beginFile(try WorkPath(path), mode: 0o600) }
        }
        await #expect(throws: EngineError.self) { try await staging.makeDirectory(try WorkPath("link"), mode: 0o777) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
        #expect(mode(outside) == 0o700)
        // Neither are they when everything is removed.
        try writeFile(outside + "/kept")
        await staging.discard()
        #expect(Directory.exists(outside + "/kept"))
    }
}

struct KeptFilesTests {
    private func tree() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try Directory.create(directory.path + "/work/sub")
        try writeFile(directory.path + "/work/a", "alpha")
        try writeFile(directory.path + "/work/sub/b", "beta")
        try writeFile(directory.path + "/secret", "host")
        return directory
    }

    /// A reader of `path` below the directory `root`.
    private func kept(_ root: String, _ path: String) throws -> KeptFiles {
        KeptFiles(root: try FileDescriptor.openDirectory(root), path: try WorkPath(path))
    }

    private func read(_ files: KeptFiles) async throws -> [KeptFiles.Piece] {
        var pieces: [KeptFiles.Piece] = []
        while let piece = try await files.next() { pieces.append(piece) }
        return pieces
    }

    private func entry(_ path: String, directory: Bool = false, size: UInt64 = 0, link: String = "") -> KeptFiles.Piece
    {
        .entry(
            .init(
                path: Array(path.utf8), mode: 0, isDirectory: directory, size: size, linkDestination: Array(link.utf8)))
    }

    private func withoutModes(_ pieces: [KeptFiles.Piece]) -> [KeptFiles.Piece] {
        pieces.map { piece in
            guard case .entry(let found) = piece else { return piece }
            return .entry(
                .init(
                    path: found.path, mode: 0, isDirectory: found.isDirectory, size: found.size,
                    linkDestination: found.linkDestination, isLeftOut: found.isLeftOut))
        }
    }

    @Test func `a tree comes in order, directories first, links as links, specials by their names`() async throws {
        let directory = try tree()
        #expect(symlink("/etc/shadow", directory.path + "/work/link") == 0)
        #expect(mkfifo(directory.path + "/work/pipe", 0o600) == 0)
        let files = try kept(directory.path + "/work", "")
        let pieces = try await read(files)
        #expect(
            withoutModes(pieces) == [
                entry("", directory: true), entry("a", size: 5), .content(Array("alpha".utf8)),
                entry("link", link: "/etc/shadow"),
                .entry(
                    .init(
                        path: Array("pipe".utf8), mode: 0, isDirectory: false, size: 0, linkDestination: [],
                        isLeftOut: true)),
                entry("sub", directory: true), entry("sub/b", size: 4),
                .content(Array("beta".utf8)),
            ])
    }

    @Test func `one file, and a file that is not there`() async throws {
        let directory = try tree()
        let pieces = try await read(try kept(directory.path + "/work", "sub/b"))
        #expect(withoutModes(pieces) == [entry("", size: 4), .content(Array("beta".utf8))])
        let missing = try kept(directory.path + "/work", "nothing")
        await #expect(throws: EngineError.self) { try await missing.next() }
    }

    @Test func `no path leads out through a link`() async throws {
        let directory = try tree()
        #expect(symlink("..", directory.path + "/work/up") == 0)
        #expect(symlink("sub", directory.path + "/work/in") == 0)
        for path in ["up/secret", "in/b"] {
            let files = try kept(directory.path + "/work", path)
            do {
                _ = try await files.next()
                Issue.record("\(path) was read")
            } catch {
                #expect(error.code == .invalidArgument)
            }
        }
    }

    @Test func `what the job removes or replaces meanwhile is left out, the rest comes`() async throws {
        let directory = try tree()
        let work = directory.path + "/work"
        try writeFile(work + "/gone")
        let files = try kept(work, "")
        _ = try await files.next()
        unlink(work + "/gone")
        try Directory.removeTree(work + "/sub")
        #expect(symlink(directory.path, work + "/sub") == 0)
        let pieces = withoutModes(try await read(files))
        #expect(pieces == [entry("a", size: 5), .content(Array("alpha".utf8)), entry("sub", link: directory.path)])
    }

    @Test func `a directory replaced by a link while it is copied gives nothing of the link's target`() async throws {
        let directory = try tree()
        let work = directory.path + "/work"
        let files = try kept(work, "sub")
        _ = try await files.next()
        try Directory.removeTree(work + "/sub")
        try writeFile(directory.path + "/b", "host")
        #expect(symlink(directory.path, work + "/sub") == 0)
        #expect(try await files.next() == nil)
    }

    @Test func `a file that grows comes as long as it was, one that shrinks is an error`() async throws {
        let directory = try tree()
        let work = directory.path + "/work"
        let files = try kept(work, "a")
        _ = try await files.next()
        try writeFile(work + "/a", "alphabet soup")
        #expect(try await files.next() == .content(Array("alpha".utf8)))
        #expect(try await files.next() == nil)
        let shrinking = try kept(work, "sub/b")
        _ = try await shrinking.next()
        #expect(truncate(work + "/sub/b", 0) == 0)
        await #expect(throws: EngineError.self) { try await shrinking.next() }
    }

    @Test func `names that are no UTF-8 come as they are`() async throws {
        let directory = try tree()
        let (folder, name) = (FileName(directory.path + "/work/sub"), FileName(bytes: [0xff, 0xfe]))
        try #require(mkdir(folder.appending(name).cString, 0o700) == 0)
        let link = FileName("link")
        try #require(symlink(name.cString, folder.appending(name).appending(link).cString) == 0)
        let files = try kept(directory.path + "/work", "sub")
        let pieces = withoutModes(try await read(files))
        #expect(
            pieces == [
                entry("", directory: true), entry("b", size: 4), .content(Array("beta".utf8)),
                .entry(.init(path: name.bytes, mode: 0, isDirectory: true, size: 0, linkDestination: [])),
                .entry(
                    .init(
                        path: name.appending(link).bytes, mode: 0, isDirectory: false, size: 0,
                        linkDestination: name.bytes)),
            ])
    }
}
