import LocalStores
import Server
import Storage

/// The stores of output and samples that the configuration names.
enum StoreFactory {
    static func stores(_ configuration: Server.Configuration) throws -> WorkerStores {
        let local = LocalStores(configuration)
        guard let logs = try local.logs() else {
            throw MissingBackendError(key: "storage.logs.backend", advice: "this build has no s3")
        }
        guard let metrics = try local.metrics() else {
            throw MissingBackendError(key: "storage.metrics.backend", advice: "this build has no s3")
        }
        return WorkerStores(logs: logs, metrics: metrics)
    }
}
