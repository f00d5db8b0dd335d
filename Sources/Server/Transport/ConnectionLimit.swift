import NIOCore

/// Leaves connections over a limit in the kernel's accept queue until others end.
///
/// Sits on the listening channel and holds back its reads, one of which accepts one connection.
final class ConnectionLimit: ChannelDuplexHandler, Sendable {
    typealias InboundIn = Channel
    typealias OutboundIn = Never

    private let limit: Int
    private let state: NIOLoopBound<State>

    private final class State {
        var open = 0
        var isReadHeldBack = false
    }

    private init(limit: Int, loop: any EventLoop) {
        self.limit = limit
        state = NIOLoopBound(State(), eventLoop: loop)
    }

    /// Limits the connections of a listening channel.
    static func apply(_ limit: Int, to channel: any Channel) -> EventLoopFuture<Void> {
        // Several connections are accepted in one read otherwise, and a burst passes the limit.
        channel.setOption(.maxMessagesPerRead, value: 1).flatMap {
            channel.eventLoop.submit {
                let handler = ConnectionLimit(limit: limit, loop: channel.eventLoop)
                try channel.pipeline.syncOperations.addHandler(handler, position: .first)
            }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let state = state.value
        state.open += 1
        let loopContext = NIOLoopBound(context, eventLoop: context.eventLoop)
        unwrapInboundIn(data).closeFuture.hop(to: context.eventLoop).whenComplete { [self] _ in
            let state = self.state.value
            state.open -= 1
            if state.isReadHeldBack, state.open < limit {
                state.isReadHeldBack = false
                loopContext.value.read()
            }
        }
        context.fireChannelRead(data)
    }

    func read(context: ChannelHandlerContext) {
        let state = state.value
        if state.open < limit {
            context.read()
        } else {
            state.isReadHeldBack = true
        }
    }
}
