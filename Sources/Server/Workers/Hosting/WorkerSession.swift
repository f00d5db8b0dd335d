import Glibc
import JobletAPI
import NIOCore
import SwiftProtobuf

/// The server's end of one connection: greets, runs calls within the budget, and answers.
///
/// Beyond the budget nothing is read, so a client that sends more or does not read its answers waits.
final class WorkerSession: ChannelDuplexHandler {
    typealias InboundIn = Frames.Received
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let dispatch: StoreDispatch
    private let budget: RequestBudget
    private var isGreeted = false
    private var greetingTimer: Scheduled<Void>?
    private var running: [UInt64: Task<Void, Never>] = [:]
    private var requests = 0
    private var bytes = 0
    private var waiting: [Frames.Received] = []
    private var isReadHeldBack = false

    init(dispatch: StoreDispatch, budget: RequestBudget) {
        self.dispatch = dispatch
        self.budget = budget
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        greetingTimer = context.eventLoop.scheduleTask(in: Frames.greetingTime) {
            let (session, context) = bound.value
            if !session.isGreeted { context.close(promise: nil) }
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let received = unwrapInboundIn(data)
        switch received.frame.body {
        case .hello(let hello) where !isGreeted: greet(hello, context)
        case .request where isGreeted:
            waiting.append(received)
            start(context)
        case .cancel(let cancel) where isGreeted:
            // One that still waits is answered as any other: its task is told when it starts.
            running[cancel.id]?.cancel()
            waiting.removeAll { $0.frame.request.id == cancel.id }
        case .alive(let alive) where isGreeted:
            if !alive.isAnswer { Frames.send(.alive(.with { $0.isAnswer = true }), to: context) }
        default: context.close(promise: nil)
        }
    }

    private func greet(_ hello: Joblet_Ipc_Hello, _ context: ChannelHandlerContext) {
        greetingTimer?.cancel()
        let version = min(hello.newestVersion, Frames.versions.upperBound)
        guard version >= max(hello.oldestVersion, Frames.versions.lowerBound), hello.maxFrameBytes >= 1 << 10 else {
            let refusal = Joblet_Ipc_Refusal.with { refusal in
                refusal.reason = "no version of the protocol that both sides speak"
                refusal.oldestVersion = Frames.versions.lowerBound
                refusal.newestVersion = Frames.versions.upperBound
            }
            Frames.send(.refusal(refusal), to: context)
            return context.close(promise: nil)
        }
        isGreeted = true
        let welcome = Joblet_Ipc_Welcome.with { welcome in
            welcome.version = version
            welcome.maxFrameBytes = UInt64(dispatch.frameLimit)
            welcome.windowRequests = UInt32(clamping: budget.requests)
            welcome.windowBytes = UInt64(budget.bytes)
        }
        Frames.send(.welcome(welcome), to: context)
    }

    /// Starts the calls that there is room for, and reads on once none waits.
    private func start(_ context: ChannelHandlerContext) {
        while let first = waiting.first {
            let request = first.frame.request
            let cost = RequestBudget.cost(of: request.call, bytes: first.bytes, frameLimit: dispatch.frameLimit)
            guard requests == 0 || (requests < budget.requests && bytes + cost <= budget.bytes) else { return }
            waiting.removeFirst()
            requests += 1
            bytes += cost
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            let loop = context.eventLoop
            running[request.id] = Task { [dispatch] in
                let answer = await dispatch.answer(request.call)
                loop.execute {
                    let (session, context) = bound.value
                    session.finish(request.id, cost, answer, context)
                }
            }
        }
        if isReadHeldBack {
            isReadHeldBack = false
            context.read()
        }
    }

    private func finish(_ id: UInt64, _ cost: Int, _ answer: WorkerLink.Answer, _ context: ChannelHandlerContext) {
        running[id] = nil
        guard context.channel.isActive else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenComplete { _ in
            let (session, context) = bound.value
            session.requests -= 1
            session.bytes -= cost
            session.start(context)
        }
        context.writeAndFlush(NIOAny(frame(id, answer)), promise: written)
    }

    private func frame(_ id: UInt64, _ answer: WorkerLink.Answer) -> ByteBuffer {
        func encode(_ answer: WorkerLink.Answer) throws(MalformedMessage) -> ByteBuffer {
            try Frames.encode(
                .with { frame in
                    frame.reply = .with { reply in
                        reply.id = id
                        reply.result = answer
                    }
                }, limit: dispatch.frameLimit)
        }
        do {
            return try encode(answer)
        } catch {
            let failure = Joblet_Ipc_Failure.with { $0.refused = "an answer that is too long: \(error)" }
            do {
                return try encode(.failure(failure))
            } catch {
                return ByteBuffer()
            }
        }
    }

    func read(context: ChannelHandlerContext) {
        if waiting.isEmpty { context.read() } else { isReadHeldBack = true }
    }

    func channelInactive(context: ChannelHandlerContext) {
        greetingTimer?.cancel()
        for task in running.values { task.cancel() }
        waiting = []
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
