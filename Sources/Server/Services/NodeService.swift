import Engine
import GRPCCore
import JobletAPI

/// `joblet.ext.NodeService`: what a client must know before it sends work.
struct NodeService: Joblet_Ext_NodeService.SimpleServiceProtocol {
    let information: Joblet_Ext_NodeInfo

    func getNodeInfo(
        request: Joblet_Ext_GetNodeInfoRequest, context: ServerContext
    ) async throws -> Joblet_Ext_NodeInfo { information }
}
