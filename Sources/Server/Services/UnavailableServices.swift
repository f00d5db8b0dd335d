import GRPCCore
import JobletAPI

/// `joblet.NetworkService`, whose feature does not exist on this server.
struct NetworkService: Joblet_NetworkService.SimpleServiceProtocol {
    func createNetwork(
        request: Joblet_CreateNetworkReq, context: ServerContext
    ) async throws -> Joblet_CreateNetworkRes { throw unavailable("networks") }

    func listNetworks(request: Joblet_EmptyRequest, context: ServerContext) async throws -> Joblet_Networks {
        throw unavailable("networks")
    }

    func removeNetwork(
        request: Joblet_RemoveNetworkReq, context: ServerContext
    ) async throws -> Joblet_RemoveNetworkRes { throw unavailable("networks") }
}

/// `joblet.VolumeService`, whose feature does not exist on this server.
struct VolumeService: Joblet_VolumeService.SimpleServiceProtocol {
    func createVolume(
        request: Joblet_CreateVolumeReq, context: ServerContext
    ) async throws -> Joblet_CreateVolumeRes { throw unavailable("volumes") }

    func listVolumes(request: Joblet_EmptyRequest, context: ServerContext) async throws -> Joblet_Volumes {
        throw unavailable("volumes")
    }

    func removeVolume(
        request: Joblet_RemoveVolumeReq, context: ServerContext
    ) async throws -> Joblet_RemoveVolumeRes { throw unavailable("volumes") }
}

/// `joblet.MonitoringService`: only the server's version, which clients show, is known.
struct MonitoringService: Joblet_MonitoringService.SimpleServiceProtocol {
    let nodeID: String

    func getSystemStatus(
        request: Joblet_EmptyRequest, context: ServerContext
    ) async throws -> Joblet_SystemStatusRes {
        var message = Joblet_SystemStatusRes()
        // Not available: no sample of the host is taken.
        message.available = false
        message.host.nodeID = nodeID
        message.serverVersion.version = BuildInformation.version
        message.serverVersion.component = "joblet"
        message.serverVersion.platform = BuildInformation.platform
        return message
    }

    func streamSystemMetrics(
        request: Joblet_StreamMetricsReq, response: RPCWriter<Joblet_SystemMetricsRes>, context: ServerContext
    ) async throws { throw unavailable("system metrics") }
}

/// `joblet.RuntimeService`, whose feature does not exist on this server.
struct RuntimeService: Joblet_RuntimeService.SimpleServiceProtocol {
    func listRuntimes(request: Joblet_EmptyRequest, context: ServerContext) async throws -> Joblet_RuntimesRes {
        throw unavailable("runtimes")
    }

    func getRuntimeInfo(
        request: Joblet_RuntimeInfoReq, context: ServerContext
    ) async throws -> Joblet_RuntimeInfoRes { throw unavailable("runtimes") }

    func testRuntime(
        request: Joblet_RuntimeTestReq, context: ServerContext
    ) async throws -> Joblet_RuntimeTestRes { throw unavailable("runtimes") }

    func installRuntimeFromGithub(
        request: Joblet_InstallRuntimeRequest, context: ServerContext
    ) async throws -> Joblet_InstallRuntimeResponse { throw unavailable("runtimes") }

    func installRuntimeFromLocal(
        request: Joblet_InstallRuntimeFromLocalRequest, context: ServerContext
    ) async throws -> Joblet_InstallRuntimeResponse { throw unavailable("runtimes") }

    func streamingInstallRuntimeFromGithub(
        request: Joblet_InstallRuntimeRequest, response: RPCWriter<Joblet_RuntimeInstallationChunk>,
        context: ServerContext
    ) async throws { throw unavailable("runtimes") }

    func streamingInstallRuntimeFromLocal(
        request: Joblet_InstallRuntimeFromLocalRequest, response: RPCWriter<Joblet_RuntimeInstallationChunk>,
        context: ServerContext
    ) async throws { throw unavailable("runtimes") }

    func validateRuntimeSpec(
        request: Joblet_ValidateRuntimeSpecRequest, context: ServerContext
    ) async throws -> Joblet_ValidateRuntimeSpecResponse { throw unavailable("runtimes") }

    func removeRuntime(
        request: Joblet_RuntimeRemoveReq, context: ServerContext
    ) async throws -> Joblet_RuntimeRemoveRes { throw unavailable("runtimes") }
}
