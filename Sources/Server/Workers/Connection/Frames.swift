import JobletAPI
import NIOCore
import SwiftProtobuf

/// The outer form of what is said: four bytes of length, most significant first, then one message.
enum Frames {
    /// The versions of the protocol that this program speaks.
    static let versions: ClosedRange<UInt32> = 1...1

    /// The longest frame where nothing else was configured.
    static let defaultLimit = 10 << 20

    /// How long either side waits for the first words of the other.
    static let greetingTime = TimeAmount.seconds(5)

    /// A message and the bytes that it took.
    struct Received: Sendable {
        let frame: Joblet_Ipc_Frame
        let bytes: Int
    }

    /// The bytes of a frame; throws where it is longer than `limit`.
    static func encode(_ frame: Joblet_Ipc_Frame, limit: Int = .max) throws(MalformedMessage) -> ByteBuffer {
        let bytes: [UInt8]
        do {
            bytes = try frame.serializedBytes()
        } catch {
            throw MalformedMessage("a message that cannot be encoded: \(error)")
        }
        guard bytes.count <= limit else { throw MalformedMessage("a message of \(bytes.count) bytes") }
        var buffer = ByteBufferAllocator().buffer(capacity: 4 + bytes.count)
        buffer.writeInteger(UInt32(bytes.count))
        buffer.writeBytes(bytes)
        return buffer
    }

    /// Takes the next whole frame out of `buffer`; nil where there is none yet.
    static func next(from buffer: inout ByteBuffer, limit: Int) throws(MalformedMessage) -> Received? {
        guard let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self) else { return nil }
        guard Int(length) <= limit else {
            throw MalformedMessage("a frame of \(length) bytes, more than the \(limit) that are allowed")
        }
        guard buffer.readableBytes >= 4 + Int(length) else { return nil }
        buffer.moveReaderIndex(forwardBy: 4)
        guard let bytes = buffer.readBytes(length: Int(length)) else { return nil }
        do {
            return Received(frame: try Joblet_Ipc_Frame(serializedBytes: bytes), bytes: bytes.count)
        } catch {
            throw MalformedMessage("a frame that is no message")
        }
    }

    /// Writes one frame; the end of the connection shows that it could not be.
    static func send(_ body: Joblet_Ipc_Frame.OneOf_Body, to context: ChannelHandlerContext) {
        var frame = Joblet_Ipc_Frame()
        frame.body = body
        do {
            context.writeAndFlush(NIOAny(try encode(frame)), promise: nil)
        } catch {
            context.close(promise: nil)
        }
    }
}

/// Cuts what arrives into frames; a frame that is too long or no message ends the connection with its error.
struct FrameDecoder: NIOSingleStepByteToMessageDecoder {
    typealias InboundOut = Frames.Received

    /// The longest frame that is taken.
    let limit: Int

    func decode(buffer: inout ByteBuffer) throws -> Frames.Received? {
        try Frames.next(from: &buffer, limit: limit)
    }

    func decodeLast(buffer: inout ByteBuffer, seenEOF: Bool) throws -> Frames.Received? {
        try Frames.next(from: &buffer, limit: limit)
    }
}

/// How much may be unanswered on one connection.
struct RequestBudget: Sendable, Equatable {
    /// Requests.
    var requests = 64
    /// Their bytes and those of the longest answers together.
    var bytes = 24 << 20

    /// What a request of `bytes` takes until it is answered.
    static func cost(of call: Joblet_Ipc_Request.OneOf_Call?, bytes: Int, frameLimit: Int) -> Int {
        let answer =
            switch call {
            case .readLog(let call): count(call.maxBytes, atMost: pageBytes(frameLimit: frameLimit))
            case .readMetrics, .listRecords: pageBytes(frameLimit: frameLimit)
            default: 1 << 10
            }
        return bytes + answer
    }

    /// How many ids or usages, of up to 64 bytes each, an answer may have.
    static func entries(frameLimit: Int) -> Int { frameLimit / 64 }

    /// The most bytes of content in one message: leaves room for the columns of as many fragments as a page has.
    static func pageBytes(frameLimit: Int) -> Int { frameLimit / 4 }
}
