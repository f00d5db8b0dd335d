import Foundation
import GRPCCore
import Glibc
import Testing

@testable import rnx

@Suite struct UploadPlanTests {
    private func failure(_ files: [String], _ directories: [String] = []) throws -> String {
        try #require(#expect(throws: Failure.self) { try UploadPlan(files: files, directories: directories) }).message
    }

    @Test func `Files keep their name, permission bits and size`() async throws {
        try await withFolder { folder in
            try write("hello", to: folder + "/a/run.sh", mode: 0o755)
            try write("", to: folder + "/empty", mode: 0o4600)
            let plan = try UploadPlan(files: [folder + "/a/run.sh", folder + "/empty"], directories: [])
            #expect(plan.entries.map(\.path) == ["run.sh", "empty"])
            #expect(plan.entries.map(\.mode) == [0o755, 0o600])
            #expect(plan.entries.map(\.size) == [5, 0])
            #expect(plan.totalBytes == 5)
        }
    }

    @Test func `Directories come before what they hold, without themselves`() async throws {
        try await withFolder { folder in
            try write("1", to: folder + "/t/b/c.txt")
            try write("22", to: folder + "/t/a.txt")
            try FileManager.default.createDirectory(atPath: folder + "/t/z", withIntermediateDirectories: false)
            try #require(symlink("b/c.txt", folder + "/t/link") == 0)
            let plan = try UploadPlan(files: [], directories: [folder + "/t/"])
            #expect(plan.entries.map(\.path) == ["a.txt", "b", "b/c.txt", "link", "z"])
            #expect(plan.entries.map(\.isDirectory) == [false, true, false, false, true])
            #expect(plan.totalBytes == 4)
        }
    }

    @Test func `Two uploads with one path are refused, two trees with one folder are not`() async throws {
        try await withFolder { folder in
            try write("1", to: folder + "/a/same")
            try write("2", to: folder + "/b/same")
            try write("3", to: folder + "/c/sub/x")
            try write("4", to: folder + "/d/sub/y")
            #expect(
                try failure([folder + "/a/same", folder + "/b/same"]).hasPrefix("two uploads have the path same: "))
            #expect(try failure([], [folder + "/a", folder + "/b"]).contains("two uploads have the path same: "))
            let merged = try UploadPlan(files: [], directories: [folder + "/c", folder + "/d"])
            #expect(merged.entries.map(\.path) == ["sub", "sub/x", "sub/y"])
            try write("5", to: folder + "/e/sub")
            #expect(try failure([folder + "/e/sub"], [folder + "/c"]).contains("two uploads have the path sub"))
        }
    }

    @Test func `Symbolic links that leave the tree, loop, or lead to folders are refused`() async throws {
        let targets = [
            ("/etc/passwd", "the symbolic link leads out of the directory"),
            ("../outside", "the symbolic link leads out of the directory"),
            ("../tree-beside/x", "the symbolic link leads out of the directory"),
            ("folder", "the symbolic link does not lead to a file"),
            (".", "the symbolic link does not lead to a file"), ("self", "Too many levels of symbolic links"),
            ("absent", "No such file or directory"),
        ]
        for (target, reason) in targets {
            try await withFolder { folder in
                try write("secret", to: folder + "/outside")
                try write("secret", to: folder + "/tree-beside/x")
                try write("x", to: folder + "/tree/folder/x")
                try #require(symlink(target, folder + "/tree/self") == 0)
                #expect(try failure([], [folder + "/tree"]).hasSuffix(": self: \(reason)"), "\(target)")
            }
        }
    }

    @Test func `What is no file is refused without being opened`() async throws {
        try await withFolder { folder in
            try #require(mkfifo(folder + "/fifo", 0o600) == 0)
            #expect(try failure([folder + "/fifo"]) == "cannot read upload file \(folder)/fifo: not a regular file")
            #expect(try failure([], [folder]).hasSuffix("fifo: neither a file nor a directory"))
            #expect(try failure([folder]) == "use --upload-dir for directories: \(folder)")
            #expect(
                try failure([folder + "/absent"])
                    == "cannot access upload file \(folder)/absent: No such file or directory")
            #expect(
                try failure([], [folder + "/absent"])
                    == "directory upload failed for \(folder)/absent: No such file or directory")
            try write("", to: folder + "/file")
            #expect(
                try failure([], [folder + "/file"]) == "directory upload failed for \(folder)/file: not a directory")
        }
    }

    @Test func `Names that are no text are refused`() async throws {
        try await withFolder { folder in
            let name = Array("\(folder)/a".utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0]
            let descriptor = open(name, O_CREAT | O_WRONLY, 0o600)
            try #require(descriptor >= 0)
            close(descriptor)
            #expect(try failure([], [folder]).contains("not valid UTF-8"))
            try #require(unlink(name) == 0)
        }
    }

    @Test func `More than the server takes is refused with both sizes`() async throws {
        try await withFolder { folder in
            try write(String(repeating: "x", count: 1025), to: folder + "/f")
            let plan = try UploadPlan(files: [folder + "/f"], directories: [])
            try plan.check(maximumBytes: 1025)
            try plan.check(maximumBytes: 0)
            let failure = #expect(throws: Failure.self) { try plan.check(maximumBytes: 1024) }
            #expect(failure?.code == "RESOURCE_EXHAUSTED")
        }
    }
}
