import CloudBackends
import Synchronization

/// moto's server behind a proxy, which can make it unreachable, silent or unwilling.
package final class FaultyCloud: Sendable {
    /// What clients meet instead of the server.
    package enum Outage: String, CaseIterable, Sendable {
        /// Connections are refused.
        case refused
        /// Every connection is cut before the request is passed on.
        case cut
        /// Requests are done, and their answers are cut.
        case cutReplies
        /// Nothing is answered; connections stay open.
        case silent
        /// Every request is answered by 503.
        case unavailable
        /// Every request is told to come less often, in the words of its service.
        case throttled
        /// Every second request is cut, before or after it was done.
        case flaky
    }

    private let server: MotoServer
    private let proxy: FaultProxy
    private let outage: Outages

    /// Starts the server and the proxy.
    package init() throws {
        let outage = Outages()
        server = try MotoServer()
        // moto, other than AWS, does not look at a condition and write in one step: of two puts of a record that meet
        // both would be done, and the older one could win.
        proxy = try FaultProxy.start(
            upstream: server.port, keepsRequests: false, isPassedAlone: { !$0.operation.isEmpty },
            { outage.action(for: $0) })
        self.outage = outage
    }

    deinit { proxy.stop() }

    /// Where clients find it.
    package var endpoint: String { proxy.endpoint }

    /// Begins an outage, also for requests that are being answered.
    package func begin(_ outage: Outage) {
        self.outage.current.withLock { $0 = outage }
        if outage == .refused { proxy.stop() }
        if outage == .cut { proxy.cutConnections() }
    }

    /// Ends the outage.
    package func end() throws {
        let last = outage.current.withLock { current in
            defer { current = nil }
            return current
        }
        if last == .refused { try proxy.resume() }
        // Those to which nothing was said must come again.
        if last == .silent { proxy.cutConnections() }
    }
}

/// What the proxy does at the moment.
private final class Outages: Sendable {
    let current = Mutex<FaultyCloud.Outage?>(nil)

    func action(for request: FaultProxy.Request) -> FaultProxy.Action {
        switch current.withLock({ $0 }) {
        case nil: .pass
        case .refused, .cut: .cut
        case .cutReplies: .cutReply(after: 20)
        case .silent: .hang
        case .unavailable: .reply(HTTPReply(status: 503))
        case .throttled: throttled(request)
        case .flaky:
            switch request.index % 4 {
            case 1: .cut
            case 3: .cutReply(after: 20)
            default: .pass
            }
        }
    }

    private func throttled(_ request: FaultProxy.Request) -> FaultProxy.Action {
        guard !request.operation.isEmpty else {
            return .reply(HTTPReply(status: 503, body: Array("<Error><Code>SlowDown</Code></Error>".utf8)))
        }
        let body = #"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException"}"#
        return .reply(
            HTTPReply(
                status: 400, headers: ["Content-Type": "application/x-amz-json-1.0"], body: Array(body.utf8)))
    }
}
