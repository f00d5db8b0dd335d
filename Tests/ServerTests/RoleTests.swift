import Backends
import DaemonSupport
import Engine
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import JobletAPI
import JobletSecurity
import Logging
import SwiftProtobuf
import TestSupport
import Testing

@testable import Server

extension DaemonTests {
    @Suite struct RoleTests {}
}

extension DaemonTests.RoleTests {
    /// Every method, the operation that error texts call it, and whether a viewer may call it.
    private static let methods: [String: (operation: String, isForViewers: Bool)] = [
        "joblet.JobService/RunJob": ("run_job", false),
        "joblet.JobService/GetJobStatus": ("get_job_status", true),
        "joblet.JobService/StopJob": ("stop_job", false),
        "joblet.JobService/CancelJob": ("stop_job", false),
        "joblet.JobService/DeleteJob": ("delete_job", false),
        "joblet.JobService/DeleteAllJobs": ("delete_job", false),
        "joblet.JobService/GetJobLogs": ("get_job_logs", true),
        "joblet.JobService/ListJobs": ("list_jobs", true),
        "joblet.JobService/GetJobMetrics": ("get_job_metrics", true),
        "joblet.JobService/RunWorkflow": ("run_job", false),
        "joblet.JobService/GetWorkflowStatus": ("get_job", true),
        "joblet.JobService/ListWorkflows": ("get_job", true),
        "joblet.JobService/GetWorkflowJobs": ("get_job", true),
        "joblet.NetworkService/CreateNetwork": ("create_network", false),
        "joblet.NetworkService/ListNetworks": ("list_networks", true),
        "joblet.NetworkService/RemoveNetwork": ("remove_network", false),
        "joblet.VolumeService/CreateVolume": ("create_volume", false),
        "joblet.VolumeService/ListVolumes": ("list_volumes", true),
        "joblet.VolumeService/RemoveVolume": ("remove_volume", false),
        "joblet.MonitoringService/GetSystemStatus": ("get_system_status", true),
        "joblet.MonitoringService/StreamSystemMetrics": ("get_system_status", true),
        "joblet.RuntimeService/ListRuntimes": ("list_runtimes", true),
        "joblet.RuntimeService/GetRuntimeInfo": ("list_runtimes", true),
        "joblet.RuntimeService/ValidateRuntimeSpec": ("list_runtimes", true),
        "joblet.RuntimeService/TestRuntime": ("manage_runtimes", false),
        "joblet.RuntimeService/InstallRuntimeFromGithub": ("manage_runtimes", false),
        "joblet.RuntimeService/InstallRuntimeFromLocal": ("manage_runtimes", false),
        "joblet.RuntimeService/StreamingInstallRuntimeFromGithub": ("manage_runtimes", false),
        "joblet.RuntimeService/StreamingInstallRuntimeFromLocal": ("manage_runtimes", false),
        "joblet.RuntimeService/RemoveRuntime": ("manage_runtimes", false),
        "joblet.ext.TransferService/RunJobWithUploads": ("run_job", false),
        "joblet.ext.TransferService/CopyFromJob": ("copy_from_job", false),
        "joblet.ext.NodeService/GetNodeInfo": ("get_node_info", true),
        "joblet.ext.StorageService/GetStorageStats": ("get_storage_stats", true),
        "joblet.persist.PersistService/Ping": ("ping_storage", true),
        "joblet.persist.PersistService/QueryLogs": ("query_logs", true),
        "joblet.persist.PersistService/QueryMetrics": ("query_metrics", true),
        "joblet.persist.PersistService/DeleteJob": ("delete_job", false),
    ]

    /// The methods of every service that a daemon registers.
    private func registered() async throws -> [MethodDescriptor] {
        let daemon = try DaemonProcess()
        var configuration = Configuration()
        configuration.dataDirectory = daemon.dataDirectory
        configuration.runDirectory = daemon.runDirectory
        let methods: [MethodDescriptor]
        do {
            let logger = Logger(label: "test")
            let engine = try JobEngine(
                configuration: configuration.engine(shimProgram: Products.path("joblet-shim")),
                jobs: MemoryJobStore(), logs: MemoryLogStore(), metrics: MemoryMetricStore(), logger: logger)
            let service = GRPCService(
                engine: engine, configuration: configuration, tls: try ServerTLS(daemon.certificates.serverIdentity()),
                logger: logger, isListening: { _ in })
            var router = RPCRouter<HTTP2ServerTransport.Posix>()
            for service in service.services(ClosingSignal()) { service.registerMethods(with: &router) }
            methods = router.methods
        }
        await daemon.end()
        return methods
    }

    @Test func `every method of every service has a place in the table of roles`() async throws {
        let methods = try await registered()
        #expect(Set(methods.map(\.fullyQualifiedMethod)) == Set(Self.methods.keys))
        #expect(Set(MethodTable.operations.keys) == Set(methods))
    }

    @Test func `each role may call exactly its methods, and is told what it may not`() async throws {
        let methods = try await registered()
        try await DaemonProcess.run { daemon in
            let roleless = try await daemon.certificate(subject: "/O=Joblet/OU=Operator/CN=somebody")
            for (caller, role) in [(Caller.admin, "admin"), (.viewer, "viewer"), (.holder(roleless), "unknown")] {
                try await daemon.connect(as: caller) { client in
                    for method in methods {
                        let rule = try #require(Self.methods[method.fullyQualifiedMethod], "\(method)")
                        let error = try await client.callWithNothing(method)
                        if role == "admin" || role == "viewer" && rule.isForViewers {
                            #expect(error?.code != .permissionDenied, "\(role) \(method)")
                            #expect(error?.code != .unauthenticated, "\(role) \(method)")
                        } else {
                            #expect(error?.code == .permissionDenied, "\(role) \(method)")
                            #expect(
                                error?.message == "role \(role) is not allowed to perform operation \(rule.operation)")
                        }
                    }
                }
            }
        }
    }

    @Test func `the role is the first organizational unit that names one, in any case`() async throws {
        try await DaemonProcess.run { daemon in
            for (subject, message) in [
                ("/OU=ADMIN/CN=a", nil), ("/OU=staff/OU=Admin/OU=viewer/CN=b", nil),
                ("/OU=viewer/OU=admin/CN=c", "role viewer is not allowed to perform operation run_job"),
                ("/O=admin/CN=admin", "role unknown is not allowed to perform operation run_job"),
                ("/OU=administrator/CN=d", "role unknown is not allowed to perform operation run_job"),
            ] as [(String, String?)] {
                let identity = try await daemon.certificate(subject: subject)
                try await daemon.connect(as: .holder(identity)) { client async throws in
                    if let message {
                        await expectRefusal(.permissionDenied, message) { try await client.run("true") }
                    } else {
                        #expect(try await client.run("true").jobUuid != "")
                    }
                }
            }
        }
    }

    @Test func `what a viewer may not do is not done`() async throws {
        try await DaemonProcess.run { daemon in
            let job = try await daemon.connect { client in
                let job = try await client.shell("echo runs; exec sleep 1000").jobUuid
                try await client.waitForOutput("runs", of: job)
                return job
            }
            try await daemon.connect(as: .viewer) { viewer async throws in
                func refused<Value: Sendable>(_ operation: String, _ call: () async throws -> Value) async {
                    await expectRefusal(
                        .permissionDenied, "role viewer is not allowed to perform operation \(operation)", call)
                }
                await refused("run_job") { try await viewer.run("true") }
                await refused("run_job") { try await viewer.send([.with { $0.request.command = "true" }]) }
                await refused("stop_job") { try await viewer.jobs.stopJob(.with { $0.uuid = job }) }
                await refused("stop_job") { try await viewer.jobs.cancelJob(.with { $0.uuid = job }) }
                await refused("delete_job") { try await viewer.jobs.deleteJob(.with { $0.uuid = job }) }
                await refused("delete_job") { try await viewer.jobs.deleteAllJobs(.init()) }
                // A job that does not exist is not told apart from one that does.
                await refused("stop_job") { try await viewer.jobs.stopJob(.with { $0.uuid = "none" }) }
                #expect(try await viewer.status(job).status == "RUNNING")
                #expect(try await viewer.jobs.listJobs(.init()).jobs.map(\.uuid) == [job])
            }
        }
    }
}

extension DaemonProcess {
    /// A client certificate of the daemon's authority with any subject, made with OpenSSL.
    func certificate(subject: String) async throws -> TLSIdentity {
        let folder = try TemporaryDirectory()
        let result = try await runProgram(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-subj", subject, "-addext", "extendedKeyUsage=clientAuth",
                "-addext", "basicConstraints=critical,CA:FALSE",
                "-CA", certificates.path(of: .authorityCertificate), "-CAkey", certificates.path(of: .authorityKey),
                "-keyout", "\(folder.path)/key", "-out", "\(folder.path)/certificate",
            ])
        try #require(result.status == 0, "\(result.output)")
        return try TLSIdentity(
            certificatePath: "\(folder.path)/certificate", keyPath: "\(folder.path)/key",
            authorityPath: certificates.path(of: .authorityCertificate))
    }
}

extension DaemonClient {
    /// Calls any method with one message without fields; returns the error that came back, nil after success.
    func callWithNothing(_ method: MethodDescriptor) async throws -> RPCError? {
        do {
            try await connection.bidirectionalStreaming(
                request: StreamingClientRequest<Nothing> { try await $0.write(Nothing()) }, descriptor: method,
                serializer: NothingCoding(), deserializer: NothingCoding(), options: .defaults
            ) { response in
                for try await _ in response.messages {}
            }
            return nil
        } catch let error as RPCError {
            return error
        }
    }
}

/// A message of which only the absence of fields is known.
private struct Nothing: Sendable {}

private struct NothingCoding: MessageSerializer, MessageDeserializer {
    func serialize<Bytes: GRPCContiguousBytes>(_ message: Nothing) throws -> Bytes { Bytes(repeating: 0, count: 0) }
    func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> Nothing { Nothing() }
}
