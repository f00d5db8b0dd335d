import Server
import Storage
import StorageCommands

/// The store of job records, which no other process serves meanwhile.
struct RecordStore {
    let configuration: Server.Configuration
    let jobs: any JobStore

    /// Claims and opens the store of the configuration that `options` name; it is free again when `body` ends.
    ///
    /// `more` are sockets of other workers, whose stores are claimed too.
    static func with(
        _ options: StoreOptions, claiming more: [KeyPath<Server.Configuration, String>] = [],
        _ body: (RecordStore) async throws -> Void
    ) async throws {
        let configuration = try options.load()
        let claim = try await StoreClaim.take(
            configuration.dataDirectory, sockets: [configuration.stateSocket] + more.map { configuration[keyPath: $0] })
        defer { claim.release() }
        try await body(
            RecordStore(configuration: configuration, jobs: try await StoreFactory(configuration).jobs()))
    }
}
