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
    var isGreeted = false

    init(socket: FileDescriptor, loop: EventLoop) throws(SystemCallError) {
        self.socket = socket
        self.loop = loop
        name = try loop.add(socket)
    }

    /// How reading went.
    enum Progress {
        /// A whole frame: its number and body, which the caller wipes if it held a plan.
        case frame(UInt16, [UInt8])
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
                var whole: [UInt8] = []
                swap(&whole, &body)
                return .frame(number, whole)
            }
            let count = body.withUnsafeMutableBytes { recv(socket.number, $0.baseAddress! + filled, $0.count - filled, 0) }
            if count < 0 { return errno == EAGAIN || errno == EINTR ? .waiting : .closed }
            if count == 0 { return .closed }
            filled += count
        }
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
        do throws(SystemCallError) {
            try loop.change(socket, name: name, output: !outgoing.isEmpty)
        } catch {
            report("\(error)")
        }
    }
}
