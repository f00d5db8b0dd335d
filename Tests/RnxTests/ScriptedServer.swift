import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import GRPCProtobuf
import JobletAPI
import JobletSecurity
import SwiftProtobuf
import Testing

/// A server on a real connection that does what a test tells it, also what the daemon never would.
struct ScriptedServer: RegistrableRPCService {
    var jobs: [Joblet_Job] = []
    var limits = Joblet_Ext_NodeInfo.with { $0.version = "9.9" }
    var run: @Sendable (Joblet_RunJobRequest) async throws -> Joblet_RunJobResponse = { _ in throw Self.unexpected }
    var status: @Sendable (String) async throws -> Joblet_GetJobStatusRes = { id in .with { $0.uuid = id } }
    var logs: @Sendable (Joblet_GetJobLogsReq, RPCWriter<Joblet_DataChunk>) async throws -> Void = { _, _ in
        throw Self.unexpected
    }
    var metrics: @Sendable (Joblet_JobMetricsRequest, RPCWriter<Joblet_JobMetricsSample>) async throws -> Void = {
        _, _ in throw Self.unexpected
    }
    var upload: @Sendable (RPCAsyncSequence<Joblet_Ext_RunJobPart, any Error>) async throws -> Joblet_RunJobResponse = {
        _ in throw Self.unexpected
    }
    var copy: [Joblet_Ext_CopyChunk] = []

    private static let unexpected = RPCError(code: .internalError, message: "not expected in this test")

    /// Every job that is to be stopped is unknown.
    private static func refuse(_ request: Joblet_StopJobReq) throws -> Joblet_StopJobRes {
        throw RPCError(code: .notFound, message: "job not found: \(request.uuid)")
    }

    func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        unary(Joblet_JobService.Method.ListJobs.descriptor, &router) { (_: Joblet_EmptyRequest) in
            Joblet_Jobs.with { $0.jobs = jobs }
        }
        unary(Joblet_JobService.Method.RunJob.descriptor, &router, answer: run)
        unary(Joblet_JobService.Method.GetJobStatus.descriptor, &router) { (request: Joblet_GetJobStatusReq) in
            try await status(request.uuid)
        }
        unary(Joblet_JobService.Method.StopJob.descriptor, &router) { request in try Self.refuse(request) }
        unary(Joblet_Ext_NodeService.Method.GetNodeInfo.descriptor, &router) { (_: Joblet_Ext_GetNodeInfoRequest) in
            limits
        }
        streaming(Joblet_JobService.Method.GetJobLogs.descriptor, &router, produce: logs)
        streaming(Joblet_JobService.Method.GetJobMetrics.descriptor, &router, produce: metrics)
        streaming(Joblet_Ext_TransferService.Method.CopyFromJob.descriptor, &router) {
            (_: Joblet_Ext_CopyFromJobRequest, writer: RPCWriter<Joblet_Ext_CopyChunk>) in
            try await writer.write(contentsOf: copy)
        }
        router.registerHandler(
            forMethod: Joblet_Ext_TransferService.Method.RunJobWithUploads.descriptor,
            deserializer: ProtobufDeserializer<Joblet_Ext_RunJobPart>(),
            serializer: ProtobufSerializer<Joblet_RunJobResponse>()
        ) { request, _ in
            StreamingServerResponse(single: ServerResponse(message: try await upload(request.messages)))
        }
    }

    private func unary<Input: Message, Output: Message, Transport: ServerTransport>(
        _ method: MethodDescriptor, _ router: inout RPCRouter<Transport>,
        answer: @Sendable @escaping (Input) async throws -> Output
    ) {
        router.registerHandler(
            forMethod: method, deserializer: ProtobufDeserializer<Input>(), serializer: ProtobufSerializer<Output>()
        ) { request, _ in
            let single = try await ServerRequest(stream: request)
            return StreamingServerResponse(single: ServerResponse(message: try await answer(single.message)))
        }
    }

    private func streaming<Input: Message, Output: Message, Transport: ServerTransport>(
        _ method: MethodDescriptor, _ router: inout RPCRouter<Transport>,
        produce: @Sendable @escaping (Input, RPCWriter<Output>) async throws -> Void
    ) {
        router.registerHandler(
            forMethod: method, deserializer: ProtobufDeserializer<Input>(), serializer: ProtobufSerializer<Output>()
        ) { request, context in
            let single = try await ServerRequest(stream: request)
            return StreamingServerResponse { writer in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await produce(single.message, writer) }
                    // A client that has gone ends what the test would go on with.
                    group.addTask {
                        try await context.cancellation.cancelled
                        throw CancellationError()
                    }
                    defer { group.cancelAll() }
                    try await group.next()
                }
                return [:]
            }
        }
    }
}

/// Certificates of one test.
struct TestCertificates {
    let authority: CertificateAuthority
    let server: TLSIdentity

    init() throws {
        authority = try CertificateAuthority()
        let issued = try authority.issueServer(names: SubjectNames())
        server = TLSIdentity(certificate: issued.certificatePEM, key: issued.key, authority: authority.certificatePEM)
    }

    /// Writes `rnx-config.yml` into a folder. A client that is `days` old at most is issued in the past.
    func configure(_ folder: String, port: Int, days: Int = 30, issued date: Date = Date()) throws {
        let issued = try authority.issueClient(role: .admin, days: days, at: date)
        let identity = TLSIdentity(
            certificate: issued.certificatePEM, key: issued.key, authority: authority.certificatePEM)
        try ClientConfiguration(address: "127.0.0.1:\(port)", nodeID: "n", identity: identity)
            .write(to: folder + "/rnx-config.yml", force: true)
    }
}

/// Runs `body` with a folder whose configuration leads to the server.
func withServer<T: Sendable>(
    _ server: ScriptedServer, certificates: TestCertificates? = nil, _ body: (String, Int) async throws -> T
) async throws -> T {
    let certificates = try certificates ?? TestCertificates()
    return try await withServer(server, identity: certificates.server) { port in
        try await withFolder { folder in
            try certificates.configure(folder, port: port)
            return try await body(folder, port)
        }
    }
}

/// Runs `body` with the port of a server on the loopback address.
func withServer<T: Sendable>(
    _ server: ScriptedServer, identity: TLSIdentity, port: Int = 0, _ body: (Int) async throws -> T
) async throws -> T {
    let tls = try ServerTLS(identity)
    let transport = HTTP2ServerTransport.Posix(
        address: .ipv4(host: "127.0.0.1", port: port), transportSecurity: tls.transportSecurity,
        config: .defaults { tls.configure(&$0) })
    return try await withGRPCServer(transport: transport, services: [server]) { server in
        let address = try #require(try await server.listeningAddress?.ipv4)
        return try await body(address.port)
    }
}
