import GRPCCore
import JobletAPI

/// The refusal of a method whose feature does not exist on this server.
func unavailable(_ feature: String) -> RPCError {
    RPCError(code: .unimplemented, message: "\(feature) are not available on this server")
}

extension JobService {
    func runWorkflow(
        request: Joblet_RunWorkflowRequest, context: ServerContext
    ) async throws -> Joblet_RunWorkflowResponse {
        throw unavailable("workflows")
    }

    func getWorkflowStatus(
        request: Joblet_GetWorkflowStatusRequest, context: ServerContext
    ) async throws -> Joblet_GetWorkflowStatusResponse {
        throw unavailable("workflows")
    }

    func listWorkflows(
        request: Joblet_ListWorkflowsRequest, context: ServerContext
    ) async throws -> Joblet_ListWorkflowsResponse {
        throw unavailable("workflows")
    }

    func getWorkflowJobs(
        request: Joblet_GetWorkflowJobsRequest, context: ServerContext
    ) async throws -> Joblet_GetWorkflowJobsResponse {
        throw unavailable("workflows")
    }
}
