import FoundationEssentials
import GRPCCore
import Glibc
import JobletAPI
import SwiftProtobuf

extension Connection {
    /// The largest piece of a file in one message.
    private static let chunkBytes = 256 * 1024

    /// Starts a job with its uploads. No more than one piece of one file is in memory at a time, because a write
    /// returns only when the transport has room for it.
    func upload(
        _ plan: UploadPlan, for request: Joblet_RunJobRequest, maximumMessageBytes: UInt64
    ) async throws -> Joblet_RunJobResponse {
        // Room for the field around the content.
        let limit = maximumMessageBytes == 0 ? UInt64.max : max(maximumMessageBytes, 2048) - 1024
        let chunkBytes = Int(min(UInt64(Self.chunkBytes), limit))
        let failure = FailureBox()
        let entries = plan.entries
        do {
            return try await transfer.runJobWithUploads(
                options: Self.streaming,
                requestProducer: { writer in
                    do {
                        try await writer.write(.with { $0.request = request })
                        for entry in entries { try await Self.send(entry, chunkBytes, to: writer) }
                    } catch let error as Failure {
                        // The transport reports a failing producer in words of its own.
                        failure.set(error)
                        throw error
                    }
                })
        } catch {
            throw failure.value ?? error
        }
    }

    private static func send(
        _ entry: UploadEntry, _ chunkBytes: Int, to writer: RPCWriter<Joblet_Ext_RunJobPart>
    ) async throws {
        let file = entry.isDirectory ? nil : try UploadFile(entry)
        try await writer.write(
            .with { part in
                part.header = .with {
                    $0.path = entry.path
                    $0.mode = entry.mode
                    $0.isDirectory = entry.isDirectory
                    $0.size = entry.size
                }
            })
        guard let file else { return }
        var rest = entry.size
        while rest > 0 {
            let content = try file.read(Int(min(UInt64(chunkBytes), rest)))
            rest -= UInt64(content.count)
            try await writer.write(.with { $0.content = content })
        }
    }
}

/// An open file of an upload.
private final class UploadFile: Sendable {
    private let entry: UploadEntry
    private let descriptor: Int32

    /// Opens the file that was planned. Does not wait for what has become a pipe in the meantime.
    init(_ entry: UploadEntry) throws(Failure) {
        self.entry = entry
        descriptor = open(entry.source, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw Failure(.local, "cannot read upload file \(entry.source): \(systemText(errno))")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.isRegular else {
            close(descriptor)
            throw Failure(.local, "cannot read upload file \(entry.source): not a regular file any more")
        }
    }

    deinit {
        close(descriptor)
    }

    /// The next bytes, at least one and at most `count`.
    func read(_ count: Int) throws(Failure) -> Data {
        var data = Data(count: count)
        var got: Int
        repeat {
            got = data.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        } while got < 0 && errno == EINTR
        guard got >= 0 else {
            throw Failure(.local, "cannot read upload file \(entry.source): \(systemText(errno))")
        }
        guard got > 0 else {
            throw Failure(.local, "cannot read upload file \(entry.source): it became shorter while it was sent")
        }
        return data.prefix(got)
    }
}
