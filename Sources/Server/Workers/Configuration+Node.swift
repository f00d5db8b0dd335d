public import Engine

extension Configuration {
    /// The id of this node: `server.nodeId`, else what the daemon keeps in its data directory.
    public func nodeID() throws(EngineError) -> String {
        try DataDirectory.nodeID(configured: server.nodeID, path: dataDirectory)
    }
}
