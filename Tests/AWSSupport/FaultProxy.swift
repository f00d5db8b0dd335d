package import CloudBackends
import Foundation
import Synchronization
import TestSupport

/// An HTTP server that passes requests on to another, or does something worse with them.
package final class FaultProxy: Sendable {
    /// A request as it came.
    package struct Request: Sendable {
        /// How many requests came before it.
        package var index: Int
        /// The request line.
        package var line: String
        /// The fields of the header, names in lower case.
        package var headers: [String: String]
        /// The body.
        package var body: [UInt8]

        /// DynamoDB's name of the call.
        package var operation: String {
            String(headers["x-amz-target"]?.split(separator: ".").last ?? "")
        }
    }

    /// What becomes of a request.
    package enum Action: Sendable {
        /// It is answered by the server behind.
        case pass
        /// It is passed on after that many milliseconds.
        case delay(Int)
        /// Never answered: the connection stays open.
        case hang
        /// The connection closes without an answer; the server behind hears nothing of it.
        case cut
        /// It is done by the server behind, and only that many bytes of the answer come back.
        case cutReply(after: Int)
        /// Answered here.
        case reply(HTTPReply)
        /// Answered as a proxy answers CONNECT: from here on all bytes go to the server behind, and back.
        case tunnel
        /// Answered by the server behind, with fields of the header replaced.
        case rewrite([String: String])
    }

    private struct State {
        var listener: TCP?
        var requests: [Request] = []
        var received = 0
        var open: [Int32: TCP] = [:]
        var accepted = 0
    }

    /// `http://127.0.0.1:<port>`.
    package let endpoint: String
    /// The port on the loopback interface.
    package let port: UInt16
    private let upstream: UInt16?
    private let keepsRequests: Bool
    private let isPassedAlone: @Sendable (Request) -> Bool
    private let decide: @Sendable (Request) -> Action
    private let state: Mutex<State>
    /// Signalled by each listening thread at its end.
    private let closed = DispatchSemaphore(value: 0)
    private let alone = Mutex(())

    /// A proxy before the server at `upstream`; without one only replies of its own can be given.
    private init(
        upstream: UInt16?, keepsRequests: Bool, isPassedAlone: @escaping @Sendable (Request) -> Bool,
        _ decide: @escaping @Sendable (Request) -> Action
    ) throws {
        guard let (listener, port) = TCP.listen() else { throw POSIXError(.EADDRNOTAVAIL) }
        state = Mutex(State(listener: listener))
        self.upstream = upstream
        self.keepsRequests = keepsRequests
        self.isPassedAlone = isPassedAlone
        self.decide = decide
        self.port = port
        endpoint = "http://127.0.0.1:\(port)"
    }

    /// A proxy that runs until `stop`.
    ///
    /// Without `keepsRequests`, `requests` stays empty however much passes. Of the requests for which `isPassedAlone`
    /// one at a time is at the server behind.
    package static func start(
        upstream: UInt16? = nil, keepsRequests: Bool = true,
        isPassedAlone: @escaping @Sendable (Request) -> Bool = { _ in false },
        _ decide: @escaping @Sendable (Request) -> Action
    ) throws -> FaultProxy {
        let proxy = try FaultProxy(
            upstream: upstream, keepsRequests: keepsRequests, isPassedAlone: isPassedAlone, decide)
        proxy.listen()
        return proxy
    }

    /// Calls `body` while a proxy runs, and ends it afterwards.
    package static func run<Result>(
        upstream: UInt16? = nil, _ decide: @escaping @Sendable (Request) -> Action,
        _ body: (FaultProxy) async throws -> Result
    ) async throws -> Result {
        let proxy = try start(upstream: upstream, decide)
        defer { proxy.stop() }
        return try await body(proxy)
    }

    /// The requests so far.
    package var requests: [Request] { state.withLock { $0.requests } }

    /// The connections so far.
    package var connections: Int { state.withLock { $0.accepted } }

    /// Closes every connection and takes no more.
    package func stop() {
        let listener = state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        listener?.shutDown()
        if listener != nil { closed.wait() }
        cutConnections()
    }

    /// Takes connections again after `stop`, at the same port.
    package func resume() throws {
        // A connection of somebody else's may have been given the port meanwhile.
        var found: TCP?
        _ = eventually {
            found = TCP.listen(port: port)?.socket
            return found != nil
        }
        guard let found else { throw POSIXError(.EADDRINUSE) }
        state.withLock { $0.listener = found }
        listen()
    }

    /// Closes every connection, and goes on taking new ones.
    package func cutConnections() {
        // Each is taken out under the lock before it is closed: its number cannot be another's.
        state.withLock { state in
            for connection in state.open.values { connection.shutDown() }
        }
    }

    private func listen() {
        guard let listener = state.withLock({ $0.listener }) else { return }
        Thread.detachNewThread { self.serve(at: listener) }
    }

    private func serve(at listener: TCP) {
        while let connection = listener.accept() {
            state.withLock { state in
                state.open[connection.descriptor] = connection
                state.accepted += 1
            }
            Thread.detachNewThread {
                self.serve(connection)
                self.state.withLock { $0.open[connection.descriptor] = nil }
                connection.close()
            }
        }
        listener.close()
        closed.signal()
    }

    private func serve(_ connection: TCP) {
        while let (request, raw) = read(connection) {
            switch decide(request) {
            case .pass: connection.send(forward(raw, request))
            case .delay(let milliseconds):
                poll(nil, 0, Int32(milliseconds))
                connection.send(forward(raw, request))
            case .hang:
                // Ends when the client or `stop` closes the connection.
                while !connection.receive().isEmpty {}
                return
            case .cut: return
            case .cutReply(let count):
                connection.send(forward(raw, request).prefix(count))
                return
            case .reply(let reply):
                connection.send(encode(reply))
                if request.headers["connection"] == "close" { return }
                continue
            case .tunnel:
                tunnel(connection)
                return
            case .rewrite(let fields): connection.send(rewrite(forward(raw, request), fields))
            }
            // The server behind was asked to close, and says so in its answer.
            return
        }
    }

    /// The next request; nil where the connection ends.
    private func read(_ connection: TCP) -> (Request, [UInt8])? {
        var bytes: [UInt8] = []
        while true {
            if let end = headerEnd(bytes) {
                var (line, headers) = parse(bytes[..<end])
                let length = headers["content-length"].flatMap { Int($0) } ?? 0
                while bytes.count < end + length {
                    let more = connection.receive()
                    if more.isEmpty { return nil }
                    bytes += more
                }
                let body = Array(bytes[end..<end + length])
                let request = state.withLock { state in
                    let request = Request(index: state.received, line: line, headers: headers, body: body)
                    state.received += 1
                    if keepsRequests { state.requests.append(request) }
                    return request
                }
                headers["connection"] = "close"
                line += "\r\n" + headers.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n"
                return (request, Array(line.utf8) + body)
            }
            let more = connection.receive()
            if more.isEmpty { return nil }
            bytes += more
        }
    }

    private func forward(_ raw: [UInt8], _ request: Request) -> [UInt8] {
        isPassedAlone(request) ? alone.withLock { _ in forward(raw) } : forward(raw)
    }

    private func forward(_ raw: [UInt8]) -> [UInt8] {
        guard let upstream, let server = TCP.connect(port: upstream) else { return [] }
        defer { server.close() }
        server.send(raw)
        var reply: [UInt8] = []
        while true {
            let more = server.receive()
            if more.isEmpty { return reply }
            reply += more
        }
    }

    private func tunnel(_ connection: TCP) {
        guard let upstream, let server = TCP.connect(port: upstream) else { return }
        connection.send("HTTP/1.1 200 Connection established\r\n\r\n".utf8)
        let hasEnded = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            self.relay(from: server, to: connection)
            hasEnded.signal()
        }
        relay(from: connection, to: server)
        hasEnded.wait()
        server.close()
    }

    private func relay(from source: TCP, to target: TCP) {
        while true {
            let bytes = source.receive()
            if bytes.isEmpty { break }
            target.send(bytes)
        }
        // The other direction ends too.
        source.shutDown()
        target.shutDown()
    }

    private func encode(_ reply: HTTPReply) -> [UInt8] {
        var headers = reply.headers
        headers["content-length"] = String(reply.body.count)
        let text =
            "HTTP/1.1 \(reply.status) Status\r\n" + headers.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n"
        return Array(text.utf8) + reply.body
    }

    private func rewrite(_ reply: [UInt8], _ fields: [String: String]) -> [UInt8] {
        guard let end = headerEnd(reply) else { return reply }
        var (line, headers) = parse(reply[..<end])
        headers.merge(fields) { $1 }
        line += "\r\n" + headers.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n"
        return Array(line.utf8) + reply[end...]
    }

    private func headerEnd(_ bytes: [UInt8]) -> Int? {
        let mark = Array("\r\n\r\n".utf8)
        guard bytes.count >= mark.count else { return nil }
        let start = bytes.indices.dropLast(mark.count - 1).first { index in
            bytes[index] == mark[0] && bytes[index..<index + mark.count].elementsEqual(mark)
        }
        return start.map { $0 + mark.count }
    }

    private func parse(_ bytes: ArraySlice<UInt8>) -> (line: String, headers: [String: String]) {
        let lines = String(decoding: bytes, as: UTF8.self).components(separatedBy: "\r\n")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                in: .whitespaces)
        }
        return (lines.first ?? "", headers)
    }
}
