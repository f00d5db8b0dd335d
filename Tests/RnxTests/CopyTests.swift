import Foundation
import Glibc
import JobletAPI
import SwiftProtobuf
import Testing

@testable import rnx

@Suite struct CopyTests {
    private func folder(_ path: String, _ mode: UInt32 = 0o755) -> Joblet_Ext_CopyHeader {
        .with {
            $0.path = Data(path.utf8)
            $0.isDirectory = true
            $0.mode = mode
        }
    }

    private func file(_ path: String, _ size: UInt64, _ mode: UInt32 = 0o644) -> Joblet_Ext_CopyHeader {
        .with {
            $0.path = Data(path.utf8)
            $0.size = size
            $0.mode = mode
        }
    }

    private func link(_ path: String, _ target: String) -> Joblet_Ext_CopyHeader {
        .with {
            $0.path = Data(path.utf8)
            $0.symlinkTarget = Data(target.utf8)
        }
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOfFile: path, encoding: .utf8)
    }

    @Test func `A tree arrives with its modes and links`() async throws {
        try await withFolder { destination in
            let copy = try CopyWriter(destination, name: "out")
            try copy.begin(folder("", 0o750))
            try copy.begin(folder("sub", 0o555))
            try copy.begin(file("sub/a", 5, 0o4755))
            try copy.write(Data("he".utf8))
            try copy.write(Data("llo".utf8))
            try copy.begin(file("empty", 0))
            try copy.begin(link("link", "sub/a"))
            let result = try copy.finish()
            #expect(result.destination == destination + "/out")
            #expect(result.files == 2)
            #expect(result.bytes == 5)
            #expect(try text(destination + "/out/sub/a") == "hello")
            #expect(try text(destination + "/out/link") == "hello")
            #expect(try mode(destination + "/out") == 0o750)
            #expect(try mode(destination + "/out/sub") == 0o555)
            #expect(try mode(destination + "/out/sub/a") == 0o755)
            try #require(chmod(destination + "/out/sub", 0o755) == 0)
        }
    }

    @Test func `A destination that is no directory becomes the copy`() async throws {
        try await withFolder { destination in
            let copy = try CopyWriter(destination + "/new", name: "out")
            try copy.begin(file("", 2))
            try copy.write(Data("hi".utf8))
            #expect(try copy.finish().destination == destination + "/new")
            #expect(try text(destination + "/new") == "hi")

            let again = try CopyWriter(destination + "/new", name: "out")
            try again.begin(file("", 3))
            try again.write(Data("bye".utf8))
            _ = try again.finish()
            #expect(try text(destination + "/new") == "bye")
            #expect(throws: Failure.self) { try CopyWriter(destination + "/absent/", name: "out") }
            #expect(throws: Failure.self) { try CopyWriter(destination + "/absent/x", name: "out") }
        }
    }

    @Test(
        "Paths that leave the copy are refused",
        arguments: ["/etc/x", "../x", "a/../../x", "a//b", "a/", "./a", "..", ".", "a\0b", "/"])
    func hostilePath(_ path: String) async throws {
        try await withFolder { destination in
            let copy = try CopyWriter(destination, name: "out")
            try copy.begin(folder(""))
            #expect(throws: Failure.self) { try copy.begin(file(path, 0)) }
        }
    }

    @Test func `Nothing is written through a symbolic link`() async throws {
        try await withFolder { root in
            let destination = root + "/destination"
            let outside = root + "/outside"
            try write("untouched", to: outside + "/file")
            try FileManager.default.createDirectory(atPath: destination + "/out", withIntermediateDirectories: true)
            try #require(symlink(outside, destination + "/out/link") == 0)
            try #require(symlink(outside + "/file", destination + "/out/file") == 0)

            let copy = try CopyWriter(destination, name: "out")
            try copy.begin(folder(""))
            #expect(throws: Failure.self) { try copy.begin(file("link/new", 0)) }
            #expect(throws: Failure.self) { try copy.begin(folder("link")) }
            try copy.begin(file("file", 3))
            try copy.write(Data("new".utf8))
            _ = try copy.finish()
            #expect(try text(outside + "/file") == "untouched")
            #expect(try text(destination + "/out/file") == "new")
            #expect(try FileManager.default.contentsOfDirectory(atPath: outside) == ["file"])
        }
    }

    @Test(
        "Links that leave the copy are left out",
        arguments: [
            ("l", "/etc/passwd", false), ("l", "../x", false), ("a/l", "../x", true), ("a/l", "../../x", false),
            ("l", "a/../../x", false), ("l", "a/b", true), ("", "x", false), ("l", "", false), ("l", ".", true),
        ])
    func links(_ path: String, _ target: String, _ isAllowed: Bool) throws {
        #expect(try CopyPath(Data(path.utf8)).allows(target: Data(target.utf8)) == isAllowed)
    }

    @Test func `Names that are not UTF-8 arrive as they are`() async throws {
        try await withFolder { destination in
            let name = Data([UInt8(ascii: "n"), 0xff])
            let copy = try CopyWriter(destination, name: "out")
            try copy.begin(folder(""))
            try copy.begin(.with { ($0.path, $0.isDirectory, $0.mode) = (name, true, 0o755) })
            try copy.begin(.with { ($0.path, $0.size, $0.mode) = (name + Data("/file".utf8), 2, 0o644) })
            try copy.write(Data("hi".utf8))
            try copy.begin(.with { ($0.path, $0.symlinkTarget) = (Data("link".utf8), name) })
            #expect(try copy.finish().skipped.isEmpty)
            #expect(try text(destination + "/out/link/file") == "hi")
        }
    }

    @Test func `What is no file is left out and reported, and nothing at all is an error`() async throws {
        try await withFolder { destination in
            let copy = try CopyWriter(destination, name: "out")
            try copy.begin(folder(""))
            try copy.begin(.with { ($0.path, $0.leftOut) = (Data("pipe".utf8), true) })
            #expect(try copy.finish().skipped.count == 1)
            for header in [link("", "/etc/passwd"), .with { $0.leftOut = true }] {
                let alone = try CopyWriter(destination, name: "alone")
                try alone.begin(header)
                #expect(throws: Failure.self) { try alone.finish() }
            }
            #expect(throws: Failure.self) { try CopyWriter(destination, name: "none").finish() }
        }
    }

    @Test func `A link that is left out is reported`() async throws {
        try await withFolder { destination in
            let copy = try CopyWriter(destination, name: "out")
            try copy.begin(folder(""))
            try copy.begin(link("bad", "/etc/passwd"))
            #expect(try copy.finish().skipped == ["bad -> /etc/passwd"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: destination + "/out").isEmpty)
        }
    }

    @Test func `Sizes must be right, and half a file leaves nothing behind`() async throws {
        try await withFolder { destination in
            do {
                let copy = try CopyWriter(destination, name: "out")
                try copy.begin(file("", 2))
                #expect(throws: Failure.self) { try copy.write(Data("long".utf8)) }
            }
            do {
                let copy = try CopyWriter(destination, name: "out")
                try copy.begin(file("", 9))
                try copy.write(Data("short".utf8))
                #expect(throws: Failure.self) { try copy.finish() }
            }
            let none = try CopyWriter(destination, name: "out")
            #expect(throws: Failure.self) { try none.write(Data("x".utf8)) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: destination).isEmpty)
        }
    }
}
