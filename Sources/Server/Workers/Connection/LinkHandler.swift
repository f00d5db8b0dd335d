import JobletAPI
import NIOCore
import SwiftProtobuf

/// The client's end of a connection: greets, hands on answers, and notices a worker that does not read any more.
final class LinkHandler: ChannelInboundHandler {
    typealias InboundIn = Frames.Received
    typealias OutboundOut = ByteBuffer

    /// How often the worker is asked; one that has not answered by the next time is gone. Twice that is less than the
    /// ten seconds that clients wait for an answer.
    private static let checkInterval = TimeAmount.seconds(3)

    private let link: WorkerLink
    private let frameLimit: Int
    private var greeting: EventLoopPromise<Joblet_Ipc_Welcome>?
    private var greetingTimer: Scheduled<Void>?
    private var checks: RepeatedTask?
    private var isAnswerDue = false

    init(link: WorkerLink, frameLimit: Int, greeting: EventLoopPromise<Joblet_Ipc_Welcome>) {
        self.link = link
        self.frameLimit = frameLimit
        self.greeting = greeting
    }

    func channelActive(context: ChannelHandlerContext) {
        let hello = Joblet_Ipc_Hello.with { hello in
            hello.oldestVersion = Frames.versions.lowerBound
            hello.newestVersion = Frames.versions.upperBound
            hello.maxFrameBytes = UInt64(frameLimit)
        }
        Frames.send(.hello(hello), to: context)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        greetingTimer = context.eventLoop.scheduleTask(in: Frames.greetingTime) {
            let (handler, context) = bound.value
            handler.end(context, because: MalformedMessage("it does not answer"))
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isAnswerDue = false
        switch unwrapInboundIn(data).frame.body {
        case .welcome(let welcome):
            guard let greeting, Frames.versions.contains(welcome.version), welcome.maxFrameBytes >= 1 << 10 else {
                return end(context, because: MalformedMessage("it does not keep to the protocol"))
            }
            self.greeting = nil
            greetingTimer?.cancel()
            beginChecks(context)
            greeting.succeed(welcome)
        case .refusal(let refusal):
            let versions = "it speaks the versions \(refusal.oldestVersion) to \(refusal.newestVersion)"
            end(context, because: MalformedMessage("\(refusal.reason) (\(versions))"))
        case .reply(let reply) where greeting == nil: link.receive(reply)
        case .alive(let alive): if !alive.isAnswer { Frames.send(.alive(.with { $0.isAnswer = true }), to: context) }
        default: end(context, because: MalformedMessage("it does not keep to the protocol"))
        }
    }

    private func beginChecks(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        checks = context.eventLoop.scheduleRepeatedTask(
            initialDelay: LinkHandler.checkInterval, delay: LinkHandler.checkInterval
        ) { _ in
            let (handler, context) = bound.value
            if handler.isAnswerDue { return handler.end(context, because: MalformedMessage("it does not answer")) }
            handler.isAnswerDue = true
            Frames.send(.alive(.init()), to: context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(because: MalformedMessage("it ended the connection"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(context, because: error)
    }

    private func end(_ context: ChannelHandlerContext, because error: any Error) {
        finish(because: error)
        context.close(promise: nil)
    }

    private func finish(because error: any Error) {
        greetingTimer?.cancel()
        checks?.cancel()
        greeting?.fail(error)
        greeting = nil
    }
}
