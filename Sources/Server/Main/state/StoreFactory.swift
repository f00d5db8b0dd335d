import Backends
import Server
import Storage

/// The one place that knows the backends of job records.
enum StoreFactory {
    /// The store that the configuration names.
    static func stores(_ configuration: Server.Configuration) throws -> WorkerStores {
        WorkerStores(jobs: try jobs(configuration))
    }

    private static func jobs(_ configuration: Server.Configuration) throws -> any JobStore {
        switch configuration.storage.state.backend {
        case .sqlite:
            try SQLiteJobStore(path: configuration.stateDatabase, durability: configuration.storage.durability)
        case .memory: MemoryJobStore()
        case .dynamodb: throw UnknownBackend(key: "storage.state.backend", name: "dynamodb")
        }
    }
}

/// A backend that this build does not have.
struct UnknownBackend: Error, CustomStringConvertible {
    /// The key that names it.
    let key: String
    /// Its name.
    let name: String

    var description: String { "\(key): \(name) is not part of this build" }
}
