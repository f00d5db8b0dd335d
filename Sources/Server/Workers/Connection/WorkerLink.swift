import Glibc
import JobletAPI
import NIOCore
import NIOPosix
import Storage
import SwiftProtobuf
import Synchronization

/// One connection to a storage worker, made again whenever it ends.
///
/// A call is kept until it is answered and sent again over the next connection. Where there is none for longer than
/// `patience`, calls fail with `unavailable`, and those to come at once, until the worker is back.
final class WorkerLink: Sendable {
    typealias Call = Joblet_Ipc_Request.OneOf_Call
    typealias Answer = Joblet_Ipc_Reply.OneOf_Result

    private struct Pending {
        let frame: ByteBuffer
        let continuation: CheckedContinuation<Result<Answer, StorageError>, Never>
    }

    private struct State {
        var pending: [UInt64: Pending] = [:]
        var nextID: UInt64 = 0
        /// The connection, once both sides have agreed on the protocol.
        var channel: (any Channel)?
        var frameLimit: Int
        /// Why calls fail at once; nil while they wait for the connection.
        var failure: StorageError?
        var runner: Task<Void, Never>?
        var isClosed = false
    }

    private let socket: String
    private let name: String
    private let frameLimit: Int
    private let patience: Duration
    private let window = RequestWindow()
    private let state: Mutex<State>

    /// Begins to connect to the worker called `name` at `socket`; `close` ends it.
    init(socket: String, name: String, frameLimit: Int = Frames.defaultLimit, patience: Duration) {
        self.socket = socket
        self.name = name
        self.frameLimit = frameLimit
        self.patience = patience
        state = Mutex(State(frameLimit: frameLimit))
        let runner = Task { await self.run() }
        state.withLock { $0.runner = runner }
    }

    /// The longest frame that both sides take.
    var currentFrameLimit: Int { state.withLock { $0.frameLimit } }

    /// Asks the worker; throws what the store throws, or `unavailable` where the worker cannot be reached.
    func call(_ call: Call, size: Int = 64) async throws(StorageError) -> Answer {
        let limit = currentFrameLimit
        let cost = RequestBudget.cost(of: call, bytes: size, frameLimit: limit)
        if let failure = state.withLock({ $0.failure }) { throw failure }
        try await window.take(cost)
        defer { window.give(cost) }
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let frame: ByteBuffer
        do throws(MalformedMessage) {
            frame = try Frames.encode(
                .with { frame in
                    frame.request = .with { request in
                        request.id = id
                        request.call = call
                    }
                }, limit: limit)
        } catch {
            throw .refused(reason: "the storage worker takes no more than \(limit) bytes at once: \(error)")
        }
        let answer = try await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                send(id, Pending(frame: frame, continuation: continuation))
                // Cancelled before it was sent, the handler found nothing.
                if Task.isCancelled { cancel(id) }
            }
        } onCancel: {
            cancel(id)
        }.get()
        if case .failure(let failure) = answer { throw StorageError(failure) }
        return answer
    }

    /// Ends the connection; calls fail from now on.
    func close() async {
        let (channel, runner) = state.withLock { state in
            state.isClosed = true
            return (state.channel, state.runner)
        }
        runner?.cancel()
        // Fails where it was closed already.
        _ = try? await channel?.close()
        await runner?.value
        fail("the connection to the storage worker \(name) was closed")
    }

    // MARK: Calls

    private func send(_ id: UInt64, _ pending: Pending) {
        let failure: StorageError? = state.withLock { state in
            if let failure = state.failure { return failure }
            state.pending[id] = pending
            state.channel?.writeAndFlush(pending.frame, promise: nil)
            return nil
        }
        if let failure { pending.continuation.resume(returning: .failure(failure)) }
    }

    private func cancel(_ id: UInt64) {
        let pending = state.withLock { state in
            let pending = state.pending.removeValue(forKey: id)
            let message = Joblet_Ipc_Frame.with { frame in frame.cancel = .with { $0.id = id } }
            if pending != nil, let channel = state.channel, let frame = try? Frames.encode(message) {
                channel.writeAndFlush(frame, promise: nil)
            }
            return pending
        }
        pending?.continuation.resume(returning: .failure(.cancelled))
    }

    /// Hands an answer to who waits for it; nobody does where the call was cancelled.
    func receive(_ reply: Joblet_Ipc_Reply) {
        let pending = state.withLock { $0.pending.removeValue(forKey: reply.id) }
        guard let pending else { return }
        guard let result = reply.result else {
            let failure = StorageError.unavailable(reason: "the storage worker \(name) gave an answer unknown here")
            return pending.continuation.resume(returning: .failure(failure))
        }
        pending.continuation.resume(returning: .success(result))
    }

    private func fail(_ reason: String) {
        let failure = StorageError.unavailable(reason: reason)
        let pending = state.withLock { state in
            state.failure = failure
            defer { state.pending = [:] }
            return state.pending.values
        }
        window.fail(failure)
        for call in pending { call.continuation.resume(returning: .failure(failure)) }
    }

    // MARK: Connections

    private func run() async {
        var downSince = ContinuousClock.now
        var pause = Duration.milliseconds(20)
        while !Task.isCancelled {
            var reason = "the connection ended"
            do {
                let (channel, welcome) = try await connect()
                begin(channel, welcome)
                pause = .milliseconds(20)
                try await channel.closeFuture.get()
                downSince = .now
            } catch {
                reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            }
            state.withLock { $0.channel = nil }
            if ContinuousClock.now - downSince >= patience {
                fail("the storage worker \(name) cannot be reached at \(socket): \(reason)")
            }
            // Cancelled by close.
            do { try await Task.sleep(for: pause) } catch { return }
            pause = min(pause * 2, Duration.seconds(1))
        }
    }

    private func connect() async throws -> (any Channel, Joblet_Ipc_Welcome) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let greeting = loop.makePromise(of: Joblet_Ipc_Welcome.self)
        let limit = frameLimit
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: loop).channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        ByteToMessageHandler(FrameDecoder(limit: limit)),
                        LinkHandler(link: self, frameLimit: limit, greeting: greeting),
                    ])
                }
            }.connect(unixDomainSocketPath: socket).get()
        } catch {
            greeting.fail(error)
            throw error
        }
        return (channel, try await greeting.futureResult.get())
    }

    /// Takes a connection into use: what was not answered over the one before is sent again.
    private func begin(_ channel: any Channel, _ welcome: Joblet_Ipc_Welcome) {
        let isClosed = state.withLock { state in
            state.frameLimit = min(frameLimit, count(welcome.maxFrameBytes))
            state.channel = channel
            if !state.isClosed { state.failure = nil }
            for (_, pending) in state.pending.sorted(by: { $0.key < $1.key }) {
                channel.write(pending.frame, promise: nil)
            }
            channel.flush()
            return state.isClosed
        }
        window.adjust(
            to: RequestBudget(
                requests: max(1, Int(welcome.windowRequests)), bytes: count(welcome.windowBytes)))
        if isClosed { channel.close(promise: nil) }
    }
}
