import CLinux
import Glibc
import Kernel
import Sandbox
import Synchronization

/// The daemon's end of one shim's control socket.
///
/// A thread of its own reads; requests are written at once, by whoever sends them.
final class ShimConnection: Sendable {
    private let socket: FileDescriptor
    private let writing = Mutex(())
    /// The shim's events, in order; ends when the connection does.
    let events: AsyncStream<ShimEvent>
    private let continuation: AsyncStream<ShimEvent>.Continuation

    /// Connects to the shim whose control socket is at `path` and greets it; throws where nobody listens.
    init(path: String) throws(SystemCallError) {
        socket = FileDescriptor(owning: try check(joblet_unix_connect(path, 0), "connect to \(path)"))
        (events, continuation) = AsyncStream.makeStream()
        var thread = pthread_t()
        let status = pthread_create(&thread, nil, { argument in
            guard let argument else { return nil }
            Unmanaged<ShimConnection>.fromOpaque(argument).takeRetainedValue().read()
            return nil
        }, Unmanaged.passRetained(self).toOpaque())
        guard status == 0 else { throw SystemCallError("start a thread", code: status) }
        pthread_detach(thread)
        send(.hello(lowest: 1, highest: ShimRequest.version))
    }

    /// Sends a request; one that cannot be sent is known by the end of `events`.
    func send(_ request: ShimRequest) {
        var frame = request.frame
        writing.withLock { _ in
            var done = 0
            while done < frame.count {
                let count = frame.withUnsafeBytes {
                    Glibc.send(socket.number, $0.baseAddress.map { $0 + done }, $0.count - done, Int32(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                if count <= 0 { break }
                done += count
            }
        }
        // A start holds a job's secrets.
        frame.withUnsafeMutableBytes { joblet_wipe($0.baseAddress, UInt64($0.count)) }
    }

    /// Ends the connection; the shim goes on without a daemon.
    func close() {
        shutdown(socket.number, Int32(SHUT_RDWR))
    }

    private func read() {
        defer { continuation.finish() }
        while let header = readExactly(ShimFrame.headerSize) {
            do throws(MalformedMessage) {
                let (number, count) = try ShimFrame.decode(header: header)
                guard let body = count == 0 ? [] : readExactly(count) else { return }
                continuation.yield(try ShimEvent(number: number, body: body))
            } catch {
                return
            }
        }
    }

    private func readExactly(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        var done = 0
        while done < count {
            let part = bytes.withUnsafeMutableBytes {
                recv(socket.number, $0.baseAddress.map { $0 + done }, count - done, 0)
            }
            if part < 0, errno == EINTR { continue }
            if part <= 0 { return nil }
            done += part
        }
        return bytes
    }
}
