import CLinux
import Glibc
import Kernel
import Sandbox
import Synchronization

/// The daemon's end of one shim's control socket.
///
/// A thread of its own reads and writes, so that a shim that is held up holds up nobody here.
final class ShimConnection: Sendable {
    private struct Outgoing {
        /// Frames that the socket did not take yet; of the first one, `sent` bytes are gone.
        var frames: [[UInt8]] = []
        var sent = 0
        var isClosed = false
    }

    private let socket: FileDescriptor
    private let wake: Pipe
    private let outgoing = Mutex(Outgoing())
    /// The shim's events, in order; ends when the connection does.
    let events: AsyncStream<ShimEvent>
    private let continuation: AsyncStream<ShimEvent>.Continuation

    /// Connects to the shim whose control socket is at `path` and greets it; throws where nobody listens.
    init(path: String) throws(SystemCallError) {
        socket = FileDescriptor(owning: try check(joblet_unix_connect(path, 0), "connect to \(path)"))
        wake = try Pipe()
        try socket.setNonBlocking()
        try wake.readEnd.setNonBlocking()
        try wake.writeEnd.setNonBlocking()
        (events, continuation) = AsyncStream.makeStream()
        let reference = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<ShimConnection>.fromOpaque(argument).takeRetainedValue().serve()
                return nil
            }, reference.toOpaque())
        guard status == 0 else {
            reference.release()
            throw SystemCallError("start a thread", code: status)
        }
        pthread_detach(thread)
        send(.hello(lowest: 1, highest: ShimRequest.version))
    }

    /// Sends a request, or keeps it until the socket takes it; false where the connection has ended.
    ///
    /// One that was taken may still be lost with the connection: the end of `events` tells.
    @discardableResult
    func send(_ request: ShimRequest) -> Bool {
        outgoing.withLock { state in
            guard !state.isClosed else { return false }
            state.frames.append(request.frame)
            if state.frames.count == 1, !flush(&state) {
                // The thread finds the end too, behind the events that arrived before it.
                end(&state)
                return false
            }
            // A pipe that is full wakes the thread as well.
            if !state.frames.isEmpty { write(wake.writeEnd.number, [0], 1) }
            return true
        }
    }

    /// Whether requests are still taken.
    var isOpen: Bool { outgoing.withLock { !$0.isClosed } }

    /// Ends the connection; the shim goes on without a daemon.
    func close() {
        shutdown(socket.number, Int32(SHUT_RDWR))
    }

    /// Writes as much as the socket takes; false where it takes nothing any more.
    private func flush(_ state: inout Outgoing) -> Bool {
        while !state.frames.isEmpty {
            let count = state.frames[0].withUnsafeBytes {
                Glibc.send(
                    socket.number, $0.baseAddress.map { $0 + state.sent }, $0.count - state.sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 { return errno == EAGAIN }
            state.sent += count
            guard state.sent == state.frames[0].count else { continue }
            wipeFirst(&state)
        }
        return true
    }

    /// Forgets the first frame: a start holds a job's secrets.
    private func wipeFirst(_ state: inout Outgoing) {
        state.frames[0].withUnsafeMutableBytes { joblet_wipe($0.baseAddress, UInt64($0.count)) }
        state.frames.removeFirst()
        state.sent = 0
    }

    private func end(_ state: inout Outgoing) {
        state.isClosed = true
        while !state.frames.isEmpty { wipeFirst(&state) }
    }

    private func serve() {
        defer {
            outgoing.withLock { end(&$0) }
            continuation.finish()
        }
        var input: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let isPending = outgoing.withLock { !$0.frames.isEmpty }
            var files = [
                pollfd(fd: socket.number, events: Int16(POLLIN) | (isPending ? Int16(POLLOUT) : 0), revents: 0),
                pollfd(fd: wake.readEnd.number, events: Int16(POLLIN), revents: 0),
            ]
            if poll(&files, 2, -1) < 0, errno != EINTR { return }
            if files[1].revents != 0 { read(wake.readEnd.number, &buffer, buffer.count) }
            if !outgoing.withLock({ $0.isClosed || flush(&$0) }) { shutdown(socket.number, Int32(SHUT_RDWR)) }
            guard files[0].revents & ~Int16(POLLOUT) != 0 else { continue }
            let count = recv(socket.number, &buffer, buffer.count, 0)
            if count < 0, errno == EAGAIN || errno == EINTR { continue }
            guard count > 0 else { return }
            input += buffer[..<count]
            guard take(&input) else { return }
        }
    }

    /// Takes whole frames from `input`; false where something is none.
    private func take(_ input: inout [UInt8]) -> Bool {
        var offset = 0
        defer { input.removeFirst(offset) }
        while input.count - offset >= ShimFrame.headerSize {
            do throws(MalformedMessage) {
                let body = offset + ShimFrame.headerSize
                let (number, count) = try ShimFrame.decode(header: Array(input[offset..<body]))
                guard input.count - body >= count else { return true }
                continuation.yield(try ShimEvent(number: number, body: Array(input[body..<body + count])))
                offset = body + count
            } catch {
                return false
            }
        }
        return true
    }
}
