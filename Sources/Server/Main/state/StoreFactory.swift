import LocalStores
import Server
import Storage

/// The store of job records that the configuration names.
enum StoreFactory {
    static func stores(_ configuration: Server.Configuration) throws -> WorkerStores {
        guard let jobs = try LocalStores(configuration).jobs() else {
            throw MissingBackendError(key: "storage.state.backend", advice: "this build has no dynamodb")
        }
        return WorkerStores(jobs: jobs)
    }
}
