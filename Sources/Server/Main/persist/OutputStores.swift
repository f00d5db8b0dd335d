import Server
import Storage
import StorageCommands

/// The stores of output and samples, which no other process serves meanwhile.
struct OutputStores {
    let configuration: Server.Configuration
    let logs: any LogStore
    let metrics: any MetricStore

    /// Claims and opens the stores of the configuration that `options` name; they are free again when `body` ends.
    static func with(_ options: StoreOptions, _ body: (OutputStores) async throws -> Void) async throws {
        let configuration = try options.load()
        let claim = try await StoreClaim.take(configuration.dataDirectory, sockets: [configuration.persistSocket])
        defer { claim.release() }
        try await body(open(configuration))
    }

    /// Opens the stores of `configuration`.
    static func open(_ configuration: Server.Configuration) async throws -> OutputStores {
        let factory = StoreFactory(configuration)
        return OutputStores(
            configuration: configuration, logs: try await factory.logs(), metrics: try await factory.metrics())
    }
}
