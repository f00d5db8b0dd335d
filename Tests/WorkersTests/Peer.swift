import Foundation
import Glibc
import JobletAPI
import NIOCore
import SwiftProtobuf

@testable import Server

/// A Unix socket's other end that says what a test wants, byte by byte.
final class Peer: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let status = try withAddress(path) { connect(descriptor, $0, $1) }
        guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
    }

    init(accepted descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { buffer in
                Glibc.send(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
            rest = rest.dropFirst(count)
        }
    }

    func send(_ body: Joblet_Ipc_Frame.OneOf_Body) throws {
        try send(Array(try Frames.encode(.with { $0.body = body }).readableBytesView))
    }

    /// The next frame; nil at the end of the connection. Waits on a thread of its own.
    func receive() async throws -> Joblet_Ipc_Frame? {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try self.next() }) }
        }
    }

    /// The next frame, awaited on this thread.
    func next() throws -> Joblet_Ipc_Frame? {
        guard let head = read(4) else { return nil }
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        guard let bytes = read(length) else { return nil }
        return try Joblet_Ipc_Frame(serializedBytes: bytes)
    }

    func greet() async throws {
        try send(
            .hello(
                .with { hello in
                    (hello.oldestVersion, hello.newestVersion, hello.maxFrameBytes) = (1, 1, 8 << 20)
                }))
        guard try await receive()?.welcome.version == 1 else { throw POSIXError(.EPROTO) }
    }

    private func read(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let part = bytes.withUnsafeMutableBytes { buffer in
                recv(descriptor, buffer.baseAddress?.advanced(by: done), count - done, 0)
            }
            guard part > 0 else { return nil }
            done += part
        }
        return bytes
    }
}

/// A Unix socket that one says something to whoever connects.
final class Listener: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard try withAddress(path, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 8) == 0 else {
            throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
        }
    }

    /// Answers the first words of each connection, until `close`.
    func answer(_ body: Joblet_Ipc_Frame.OneOf_Body) throws {
        while true {
            let connection = accept(descriptor, nil, nil)
            guard connection >= 0 else { return }
            let peer = Peer(accepted: connection)
            guard try peer.next() != nil else { continue }
            try peer.send(body)
            _ = try peer.next()
        }
    }

    func close() {
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    deinit { Glibc.close(descriptor) }
}

/// Calls `body` with the address of a socket in the file system.
private func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) throws -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8) + [0]
    guard bytes.count <= MemoryLayout.size(ofValue: address.sun_path) else { throw POSIXError(.ENAMETOOLONG) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
