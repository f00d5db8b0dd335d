public import Foundation
public import GRPCCore
public import GRPCNIOTransportHTTP2Posix
public import JobletAPI
public import JobletSecurity
import SwiftProtobuf

/// A connection to a daemon.
public struct DaemonClient: Sendable {
    /// The transport of every client.
    public typealias Transport = HTTP2ClientTransport.Posix

    /// The connection itself, for calls without generated code.
    public let connection: GRPCClient<Transport>

    /// `joblet.JobService`.
    public var jobs: Joblet_JobService.Client<Transport> { .init(wrapping: connection) }
    /// `joblet.NetworkService`.
    public var networks: Joblet_NetworkService.Client<Transport> { .init(wrapping: connection) }
    /// `joblet.VolumeService`.
    public var volumes: Joblet_VolumeService.Client<Transport> { .init(wrapping: connection) }
    /// `joblet.RuntimeService`.
    public var runtimes: Joblet_RuntimeService.Client<Transport> { .init(wrapping: connection) }
    /// `joblet.MonitoringService`.
    public var monitoring: Joblet_MonitoringService.Client<Transport> { .init(wrapping: connection) }
    /// `joblet.ext.TransferService`.
    public var transfer: Joblet_Ext_TransferService.Client<Transport> { .init(wrapping: connection) }
    /// `joblet.ext.NodeService`.
    public var node: Joblet_Ext_NodeService.Client<Transport> { .init(wrapping: connection) }
    /// `joblet.ext.StorageService`.
    public var storage: Joblet_Ext_StorageService.Client<Transport> { .init(wrapping: connection) }

    /// `joblet.persist.PersistService`.
    public var persist: Joblet_Persist_PersistService.Client<Transport> { .init(wrapping: connection) }

    /// The job's lines as history has them.
    public func lines(
        _ job: String, configure: (inout Joblet_Persist_QueryLogsRequest) -> Void = { _ in }
    ) async throws -> [Joblet_Persist_LogLine] {
        var request = Joblet_Persist_QueryLogsRequest()
        request.jobID = job
        configure(&request)
        return try await persist.queryLogs(request) { response in
            var lines: [Joblet_Persist_LogLine] = []
            for try await line in response.messages { lines.append(line) }
            return lines
        }
    }

    /// Runs `command` with `arguments`.
    public func run(
        _ command: String, _ arguments: String..., configure: (inout Joblet_RunJobRequest) -> Void = { _ in }
    ) async throws -> Joblet_RunJobResponse {
        var request = Joblet_RunJobRequest()
        request.command = command
        request.args = arguments
        configure(&request)
        let reply = try await jobs.runJob(request)
        // The answer comes before the start.
        while try await status(reply.jobUuid).status == "INITIALIZING" { try await Task.sleep(for: .milliseconds(2)) }
        return reply
    }

    /// Runs a shell script.
    public func shell(
        _ script: String, configure: (inout Joblet_RunJobRequest) -> Void = { _ in }
    ) async throws -> Joblet_RunJobResponse {
        try await run("sh", "-c", script, configure: configure)
    }

    /// The job's state.
    public func status(_ job: String) async throws -> Joblet_GetJobStatusRes {
        try await jobs.getJobStatus(.with { $0.uuid = job })
    }

    /// The job's log in the pieces in which it came; of a running job once it has ended.
    public func chunks(
        _ job: String, configure: (inout Joblet_GetJobLogsReq) -> Void = { _ in }
    ) async throws -> [Joblet_DataChunk] {
        var request = Joblet_GetJobLogsReq()
        request.uuid = job
        configure(&request)
        return try await jobs.getJobLogs(request) { response in
            var chunks: [Joblet_DataChunk] = []
            for try await chunk in response.messages { chunks.append(chunk) }
            return chunks
        }
    }

    /// The job's log; of a running job once it has ended.
    public func log(
        _ job: String, configure: (inout Joblet_GetJobLogsReq) -> Void = { _ in }
    ) async throws -> Data {
        try await chunks(job, configure: configure).reduce(into: Data()) { $0 += $1.payload }
    }

    /// The job's log as text.
    public func text(
        _ job: String, configure: (inout Joblet_GetJobLogsReq) -> Void = { _ in }
    ) async throws -> String {
        String(decoding: try await log(job, configure: configure), as: UTF8.self)
    }

    /// Waits until the running job has written `text`.
    public func waitForOutput(_ text: String, of job: String) async throws {
        let request = Joblet_GetJobLogsReq.with { $0.uuid = job }
        try await jobs.getJobLogs(request) { response in
            var seen = Data()
            for try await chunk in response.messages {
                seen += chunk.payload
                if seen.range(of: Data(text.utf8)) != nil { return }
            }
            throw ChildProcess.Ended(
                description: "no '\(text)' in: \(String(decoding: seen.suffix(2000), as: UTF8.self))")
        }
    }

    /// Waits for the end of the job and returns its last state; throws where it does not end.
    public func end(of job: String) async throws -> Joblet_GetJobStatusRes {
        let deadline = ContinuousClock.now + .seconds(120)
        while true {
            let status = try await status(job)
            if !["INITIALIZING", "RUNNING"].contains(status.status) { return status }
            guard ContinuousClock.now < deadline else {
                throw ChildProcess.Ended(description: "job \(job) is still \(status.status)")
            }
            // No call tells of a change of state.
            try await Task.sleep(for: .milliseconds(3))
        }
    }
}

/// Who calls.
public enum Caller: Sendable {
    /// The admin's certificate.
    case admin
    /// The viewer's certificate.
    case viewer
    /// Another certificate.
    case holder(TLSIdentity)
    /// No certificate.
    case anonymous
}

extension DaemonProcess {
    /// Connects to the running daemon and runs `body`; the connection ends with it.
    public func connect<Value: Sendable>(
        as caller: Caller = .admin, _ body: (DaemonClient) async throws -> Value
    ) async throws -> Value {
        let security: HTTP2ClientTransport.Posix.TransportSecurity
        var configuration = HTTP2ClientTransport.Posix.Config.defaults
        configuration.http2.authority = ClientTLS.serverName
        // Reading a log must not be what limits its speed.
        configuration.http2.targetWindowSize = 1 << 20
        switch caller {
        case .anonymous:
            let authority = Array(try certificates.read(.authorityCertificate).utf8)
            security = .tls { $0.trustRoots = .certificates([.bytes(authority, format: .pem)]) }
        default:
            let tls = try ClientTLS(try identity(of: caller), host: "127.0.0.1")
            tls.configure(&configuration)
            security = tls.transportSecurity
        }
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port), transportSecurity: security, config: configuration)
        return try await withGRPCClient(transport: transport) { try await body(DaemonClient(connection: $0)) }
    }

    /// Connects without TLS to a socket of one of the daemon's workers and runs `body`.
    public func connect<Value: Sendable>(
        to target: any ResolvableTarget, _ body: (DaemonClient) async throws -> Value
    ) async throws -> Value {
        let transport = try HTTP2ClientTransport.Posix(target: target, transportSecurity: .plaintext)
        return try await withGRPCClient(transport: transport) { try await body(DaemonClient(connection: $0)) }
    }

    /// The workers called `name` that this daemon started and that run.
    public func workers(_ name: String) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            let line = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline") ?? Data()
            let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            return words.first?.hasSuffix("/\(name)") == true && words.contains(configurationPath)
        }
    }

    private func identity(of caller: Caller) throws -> TLSIdentity {
        switch caller {
        case .holder(let identity): identity
        case .viewer: try certificates.clientIdentity(.viewer)
        case .admin, .anonymous: try certificates.clientIdentity(.admin)
        }
    }
}
