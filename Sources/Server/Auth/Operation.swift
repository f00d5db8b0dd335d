import GRPCCore
import JobletAPI
import JobletSecurity

/// What a caller wants to do, in the words of the error texts.
enum Operation: String, Sendable, CaseIterable {
    case runJob = "run_job"
    case getJob = "get_job"
    case listJobs = "list_jobs"
    case stopJob = "stop_job"
    case deleteJob = "delete_job"
    case getJobStatus = "get_job_status"
    case getJobLogs = "get_job_logs"
    case getJobMetrics = "get_job_metrics"
    case copyFromJob = "copy_from_job"
    case createNetwork = "create_network"
    case removeNetwork = "remove_network"
    case listNetworks = "list_networks"
    case createVolume = "create_volume"
    case removeVolume = "remove_volume"
    case listVolumes = "list_volumes"
    case manageRuntimes = "manage_runtimes"
    case listRuntimes = "list_runtimes"
    case getSystemStatus = "get_system_status"
    case getNodeInfo = "get_node_info"
    case getStorageStats = "get_storage_stats"
    case queryLogs = "query_logs"
    case queryMetrics = "query_metrics"
    case pingStorage = "ping_storage"

    /// Whether a viewer may do it: looking, never changing.
    var isAllowedToViewers: Bool {
        switch self {
        case .getJob, .listJobs, .getJobStatus, .getJobLogs, .getJobMetrics, .listNetworks, .listVolumes,
            .listRuntimes, .getSystemStatus, .getNodeInfo, .getStorageStats, .queryLogs, .queryMetrics, .pingStorage:
            true
        case .runJob, .stopJob, .deleteJob, .copyFromJob, .createNetwork, .removeNetwork, .createVolume,
            .removeVolume, .manageRuntimes:
            false
        }
    }

    /// Whether the role may do it.
    func isAllowed(to role: Role) -> Bool {
        switch role {
        case .admin: true
        case .viewer: isAllowedToViewers
        case .unknown: false
        }
    }
}

/// The one table of methods and the operations that they are.
enum MethodTable {
    /// The operation of each method; a method that is not here is refused to everyone.
    static let operations: [MethodDescriptor: Operation] = [
        Joblet_JobService.Method.RunJob.descriptor: .runJob,
        Joblet_JobService.Method.GetJobStatus.descriptor: .getJobStatus,
        Joblet_JobService.Method.StopJob.descriptor: .stopJob,
        Joblet_JobService.Method.CancelJob.descriptor: .stopJob,
        Joblet_JobService.Method.DeleteJob.descriptor: .deleteJob,
        Joblet_JobService.Method.DeleteAllJobs.descriptor: .deleteJob,
        Joblet_JobService.Method.GetJobLogs.descriptor: .getJobLogs,
        Joblet_JobService.Method.ListJobs.descriptor: .listJobs,
        Joblet_JobService.Method.GetJobMetrics.descriptor: .getJobMetrics,
        Joblet_JobService.Method.RunWorkflow.descriptor: .runJob,
        Joblet_JobService.Method.GetWorkflowStatus.descriptor: .getJob,
        Joblet_JobService.Method.ListWorkflows.descriptor: .getJob,
        Joblet_JobService.Method.GetWorkflowJobs.descriptor: .getJob,
        Joblet_NetworkService.Method.CreateNetwork.descriptor: .createNetwork,
        Joblet_NetworkService.Method.ListNetworks.descriptor: .listNetworks,
        Joblet_NetworkService.Method.RemoveNetwork.descriptor: .removeNetwork,
        Joblet_VolumeService.Method.CreateVolume.descriptor: .createVolume,
        Joblet_VolumeService.Method.ListVolumes.descriptor: .listVolumes,
        Joblet_VolumeService.Method.RemoveVolume.descriptor: .removeVolume,
        Joblet_MonitoringService.Method.GetSystemStatus.descriptor: .getSystemStatus,
        Joblet_MonitoringService.Method.StreamSystemMetrics.descriptor: .getSystemStatus,
        Joblet_RuntimeService.Method.ListRuntimes.descriptor: .listRuntimes,
        Joblet_RuntimeService.Method.GetRuntimeInfo.descriptor: .listRuntimes,
        Joblet_RuntimeService.Method.ValidateRuntimeSpec.descriptor: .listRuntimes,
        Joblet_RuntimeService.Method.TestRuntime.descriptor: .manageRuntimes,
        Joblet_RuntimeService.Method.InstallRuntimeFromGithub.descriptor: .manageRuntimes,
        Joblet_RuntimeService.Method.InstallRuntimeFromLocal.descriptor: .manageRuntimes,
        Joblet_RuntimeService.Method.StreamingInstallRuntimeFromGithub.descriptor: .manageRuntimes,
        Joblet_RuntimeService.Method.StreamingInstallRuntimeFromLocal.descriptor: .manageRuntimes,
        Joblet_RuntimeService.Method.RemoveRuntime.descriptor: .manageRuntimes,
        Joblet_Ext_TransferService.Method.RunJobWithUploads.descriptor: .runJob,
        Joblet_Ext_TransferService.Method.CopyFromJob.descriptor: .copyFromJob,
        Joblet_Ext_NodeService.Method.GetNodeInfo.descriptor: .getNodeInfo,
        Joblet_Ext_StorageService.Method.GetStorageStats.descriptor: .getStorageStats,
        Joblet_Persist_PersistService.Method.Ping.descriptor: .pingStorage,
        Joblet_Persist_PersistService.Method.QueryLogs.descriptor: .queryLogs,
        Joblet_Persist_PersistService.Method.QueryMetrics.descriptor: .queryMetrics,
        Joblet_Persist_PersistService.Method.DeleteJob.descriptor: .deleteJob,
    ]
}
