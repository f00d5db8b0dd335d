import Backends
import Server
public import Storage

extension LocalStores {
    /// What recovering a database found.
    public enum Recovery: Sendable, Equatable {
        /// There is no database.
        case none
        /// It was sound, and left alone.
        case sound
        /// It was damaged: so many entries were saved into a new one.
        case recovered(entries: Int)
    }

    /// Recovers the database of logs, which no one has open, where SQLite finds it damaged.
    public func recoverLogs() async throws(StorageError) -> Recovery {
        guard configuration.storage.logs.backend == .sqlite else { return .none }
        let path = logDatabase
        return try await recover { () throws(StorageError) in
            try SQLiteLogStore(path: path)
        } by: { () async throws(StorageError) in
            try await SQLiteLogStore.recover(path: path)
        }
    }

    /// Recovers the database of metrics as `recoverLogs` does that of logs.
    public func recoverMetrics() async throws(StorageError) -> Recovery {
        guard configuration.storage.metrics.backend == .sqlite else { return .none }
        let path = metricDatabase
        return try await recover { () throws(StorageError) in
            try SQLiteMetricStore(path: path)
        } by: { () async throws(StorageError) in
            try await SQLiteMetricStore.recover(path: path)
        }
    }

    /// Recovers the database of job records as `recoverLogs` does that of logs.
    public func recoverJobs() async throws(StorageError) -> Recovery {
        guard configuration.storage.state.backend == .sqlite else { return .none }
        let path = configuration.stateDatabase
        return try await recover { () throws(StorageError) in
            try SQLiteJobStore(path: path)
        } by: { () async throws(StorageError) in
            try await SQLiteJobStore.recover(path: path)
        }
    }

    private func recover(
        _ open: () throws(StorageError) -> any CheckableStore, by save: () async throws(StorageError) -> Int
    ) async throws(StorageError) -> Recovery {
        // The store is closed again before its files are replaced.
        if try await isSound(open) { return .sound }
        return .recovered(entries: try await save())
    }

    private func isSound(_ open: () throws(StorageError) -> any CheckableStore) async throws(StorageError) -> Bool {
        do throws(StorageError) {
            return try await open().integrityProblems().isEmpty
        } catch .corrupt {
            return false
        }
    }
}
