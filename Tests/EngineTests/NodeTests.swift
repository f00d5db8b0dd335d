import Foundation
import Kernel
import Storage
import TestSupport
import Testing

@testable import Engine

struct SecretKeyTests {
    @Test(arguments: ["", "x", "päßwörd", String(repeating: "long ", count: 20_000)])
    func `what was sealed opens in its context, also after the key was read again`(text: String) throws {
        let directory = try TemporaryDirectory()
        let key = try SecretKey(path: directory.path + "/key")
        let sealed = try key.seal(text, context: "job/NAME")
        #expect(try key.open(sealed, context: "job/NAME") == text)
        #expect(try SecretKey(path: directory.path + "/key").open(sealed, context: "job/NAME") == text)
        #expect(try key.seal(text, context: "job/NAME") != sealed)
        if text.count > 1 { #expect(Data(base64Encoded: sealed.base64)?.range(of: Data(text.utf8)) == nil) }
    }

    @Test func `another context or another key opens nothing`() throws {
        let directory = try TemporaryDirectory()
        let key = try SecretKey(path: directory.path + "/key")
        let other = try SecretKey(path: directory.path + "/other")
        let sealed = try key.seal("text", context: "job/A")
        #expect(throws: EngineError.self) { try key.open(sealed, context: "job/B") }
        #expect(throws: EngineError.self) { try key.open(sealed, context: "") }
        #expect(throws: EngineError.self) { try other.open(sealed, context: "job/A") }
    }

    @Test func `no changed bit and no cut goes unnoticed`() throws {
        let directory = try TemporaryDirectory()
        let key = try SecretKey(path: directory.path + "/key")
        let sealed = try #require(Data(base64Encoded: try key.seal("text", context: "c").base64))
        for bit in 0..<sealed.count * 8 {
            var changed = sealed
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: EngineError.self) {
                try key.open(SealedValue(base64: changed.base64EncodedString()), context: "c")
            }
        }
        for count in 0..<sealed.count {
            #expect(throws: EngineError.self) {
                try key.open(SealedValue(base64: sealed.prefix(count).base64EncodedString()), context: "c")
            }
        }
        #expect(throws: EngineError.self) { try key.open(SealedValue(base64: "not base64!"), context: "c") }
    }

    @Test func `the key's file is the daemon's alone, and refused where it is not`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/key"
        _ = try SecretKey(path: path)
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o7777 == 0o600 && status.st_size == 32)
        chmod(path, 0o640)
        #expect(throws: EngineError.self) { try SecretKey(path: path) }
        chmod(path, 0o600)
        _ = try SecretKey(path: path)
        #expect(rename(path, path + ".moved") == 0)
        #expect(symlink(path + ".moved", path) == 0)
        #expect(throws: EngineError.self) { try SecretKey(path: path) }
        unlink(path)
        for size in [0, 31, 33] {
            try Data(count: size).write(to: URL(fileURLWithPath: path))
            chmod(path, 0o600)
            #expect(throws: EngineError.self) { try SecretKey(path: path) }
        }
    }
}

struct IDRangesTests {
    @Test func `the lowest free range is given, each once`() {
        var ranges = IDRanges(first: 100_000, count: 3)
        #expect(ranges.take() == 100_000)
        #expect(ranges.take() == 165_536)
        ranges.release(100_000)
        #expect(ranges.take() == 100_000)
        #expect(ranges.take() == 231_072)
        #expect(ranges.take() == nil)
    }

    @Test func `a range that an adopted job has is not given again`() {
        var ranges = IDRanges(first: 0x1000_0000, count: 2)
        ranges.take(0x1000_0000)
        #expect(ranges.take() == 0x1001_0000)
        #expect(ranges.take() == nil)
        // One of an earlier configuration stands apart.
        ranges.take(7)
        ranges.release(7)
        #expect(ranges.take() == nil)
    }

    @Test func `no range reaches behind the last id`() {
        var ranges = IDRanges(first: 0xfffe_0000, count: 4096)
        #expect(ranges.take() == 0xfffe_0000)
        #expect(ranges.take() == nil)
        var none = IDRanges(first: 0, count: -1)
        #expect(none.take() == nil)
    }
}

struct DataDirectoryTests {
    @Test func `the identity stays, a configured id replaces the generated one, one daemon at a time`() throws {
        let directory = try TemporaryDirectory()
        let first = try DataDirectory(path: directory.path + "/data", nodeID: "")
        #expect(throws: EngineError.self) { try DataDirectory(path: directory.path + "/data", nodeID: "") }
        let identity = first.identity
        first.release()
        let second = try DataDirectory(path: directory.path + "/data", nodeID: "")
        #expect(second.identity == identity)
        second.release()
        let third = try DataDirectory(path: directory.path + "/data", nodeID: "n1")
        #expect(third.identity == NodeIdentity(id: "n1", incarnation: identity.incarnation))
    }
}
