import CLinux
import Glibc
import Kernel
import Sandbox

/// The connection to the daemon: whole frames in, frames out, never waiting.
final class DaemonConnection {
    let socket: FileDescriptor
    private let loop: EventLoop
    let name: UInt64
    private var header: [UInt8] = []
    private var body: [UInt8] = []
    private var filled = 0
    private var number: UInt16 = 0
    private var outgoing: [UInt8] = []
    private var watchesOutput = false
    var isGreeted = false

    deinit { wipe(&body) }

    init(socket: FileDescriptor, loop: EventLoop) throws(SystemCallError) {
        self.socket = socket
        self.loop = loop
        name = try loop.add(socket)
    }

    /// How reading went.
    enum Progress {
        /// A whole frame with that number; its body is to be taken.
        case frame(UInt16)
        /// Nothing more for now.
        case waiting
        /// The daemon is gone, or said something that is no frame.
        case closed
    }

    /// Reads on to the end of one frame and no further: two plans never lie in memory at once.
    func read() -> Progress {
        while true {
            if header.count < ShimFrame.headerSize {
                var part = [UInt8](repeating: 0, count: ShimFrame.headerSize - header.count)
                let count = recv(socket.number, &part, part.count, 0)
                if count < 0 { return errno == EAGAIN || errno == EINTR ? .waiting : .closed }
                if count == 0 { return .closed }
                header += part[..<count]
                guard header.count == ShimFrame.headerSize else { continue }
                do throws(MalformedMessage) {
                    let (number, count) = try ShimFrame.decode(header: header)
                    self.number = number
                    body = [UInt8](repeating: 0, count: count)
                    filled = 0
                } catch {
                    return .closed
                }
            }
            if filled == body.count {
                header = []
                return .frame(number)
            }
            let count = body.withUnsafeMutableBytes { buffer in
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
                return recv(socket.number, rest.baseAddress, rest.count, 0)
            }
            if count < 0 { return errno == EAGAIN || errno == EINTR ? .waiting : .closed }
            if count == 0 { return .closed }
            filled += count
        }
    }

    /// The body of the frame that was read; the caller wipes it, since it may hold a plan.
    func takeBody() -> [UInt8] {
        var whole: [UInt8] = []
        swap(&whole, &body)
        filled = 0
        return whole
    }

    /// Queues an event and sends as much as the socket takes.
    func send(_ event: ShimEvent) {
        outgoing += event.frame
        flush()
    }

    func flush() {
        while !outgoing.isEmpty {
            let count = Glibc.send(socket.number, outgoing, outgoing.count, Int32(MSG_NOSIGNAL))
            if count < 0 { break }
            outgoing.removeFirst(count)
        }
        guard watchesOutput == outgoing.isEmpty else { return }
        watchesOutput = !outgoing.isEmpty
        do throws(SystemCallError) {
            try loop.change(socket, name: name, output: watchesOutput)
        } catch {
            report("\(error)")
        }
    }
}

/// Overwrites `bytes`, in which secrets were, and forgets them.
///
/// The memory itself is overwritten, whoever else still refers to it: a copy made for this would leave it.
func wipe(_ bytes: inout [UInt8]) {
    bytes.withUnsafeBytes { buffer in
        joblet_wipe(UnsafeMutableRawPointer(mutating: buffer.baseAddress), UInt64(buffer.count))
    }
    bytes = []
}
