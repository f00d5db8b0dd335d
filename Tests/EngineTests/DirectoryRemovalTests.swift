import Glibc
import Kernel
import TestSupport
import Testing

/// What a job may leave in a directory that has to go.
@Suite struct DirectoryRemovalTests {
    @Test func `a tree goes with names that are no UTF-8, links and directories nobody may read`() throws {
        let scratch = try TemporaryDirectory()
        let (tree, outside) = (scratch.path + "/tree", scratch.path + "/outside")
        try Directory.create(tree + "/sub/empty")
        try Directory.create(outside)
        let name = FileName(bytes: [0xff, 0xfe])
        for folder in [tree, tree + "/sub"] {
            let path = FileName(folder).appending(name)
            try #require(mkdir(path.cString, 0) == 0)
            close(open(path.appending(name).cString, O_CREAT | O_WRONLY, 0))
            try #require(symlink(outside, folder + "/link") == 0)
            try #require(mkfifo(folder + "/pipe", 0) == 0)
        }
        try #require(chmod(tree + "/sub", 0) == 0)
        try Directory.removeTree(tree)
        #expect(!Directory.exists(tree))
        #expect(Directory.exists(outside))
        try Directory.removeTree(tree)
        try Directory.removeTree(outside)
    }

    @Test func `a tree goes however deep it is`() throws {
        let scratch = try TemporaryDirectory()
        let (tree, name) = (scratch.path + "/tree", String(repeating: "d", count: 200))
        try Directory.create(tree)
        var directory = try FileDescriptor.openDirectory(tree)
        // Far longer a path than PATH_MAX, far more levels than a process has descriptors.
        for _ in 0..<5000 {
            try #require(mkdirat(directory.number, name, 0o700) == 0)
            try #require(mkdirat(directory.number, "beside", 0o700) == 0)
            close(openat(directory.number, "file", O_CREAT | O_WRONLY, 0o600))
            directory = try FileDescriptor.openDirectory(name, in: directory)
        }
        try Directory.removeTree(tree)
        #expect(!Directory.exists(tree))
    }

    @Test func `names in a directory are all but its own and its parent's`() throws {
        let scratch = try TemporaryDirectory()
        #expect(try Directory.names(in: scratch.path) == [])
        let names = ["...", ".a", "a", "b"]
        for name in names { try Directory.create("\(scratch.path)/\(name)") }
        #expect(try Directory.names(in: scratch.path).sorted() == names)
        #expect(throws: SystemCallError.self) { try Directory.names(in: scratch.path + "/none") }
    }
}
