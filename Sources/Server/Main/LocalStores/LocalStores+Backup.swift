import Backends
import Server
public import Storage

extension LocalStores {
    /// A store of the backend `sqlite` that was copied while it was used.
    public struct Backup: Sendable, Equatable {
        /// The store's name: `logs`, `metrics` or `state`.
        public let store: String
        /// The file with the copy.
        public let path: String
    }

    /// Copies the databases of output and samples into `directory`, which is laid out as a data directory then.
    ///
    /// Returns those that were copied: none where the configuration names other backends. Throws as
    /// `SQLiteBackup.copy` does, before a second database where the first fails.
    public func backUpOutput(to directory: String) async throws(StorageError) -> [Backup] {
        var copied: [Backup] = []
        if configuration.storage.logs.backend == .sqlite {
            copied.append(try await backUp("logs", logDatabase, to: "\(directory)/logs/logs.db"))
        }
        if configuration.storage.metrics.backend == .sqlite {
            copied.append(try await backUp("metrics", metricDatabase, to: "\(directory)/metrics/metrics.db"))
        }
        return copied
    }

    /// Copies the database of job records into `directory`, as `backUpOutput` does.
    public func backUpRecords(to directory: String) async throws(StorageError) -> [Backup] {
        guard configuration.storage.state.backend == .sqlite else { return [] }
        return [try await backUp("state", configuration.stateDatabase, to: "\(directory)/state/jobs.db")]
    }

    private func backUp(_ store: String, _ database: String, to path: String) async throws(StorageError) -> Backup {
        do throws(StorageError) {
            try await SQLiteBackup.copy(database, to: path)
        } catch {
            if error == .notFound { throw .unavailable(reason: "\(database) is not there") }
            throw error
        }
        return Backup(store: store, path: path)
    }
}
