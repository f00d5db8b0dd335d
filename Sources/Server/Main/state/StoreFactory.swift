import CloudBackends
import LocalStores
import Server
import Storage

/// The store of job records that the configuration names.
enum StoreFactory {
    /// Opens the store; one in the cloud was asked whether it can be used.
    static func stores(_ configuration: Server.Configuration) async throws -> WorkerStores {
        if let jobs = try LocalStores(configuration).jobs() { return WorkerStores(jobs: jobs) }
        let settings = configuration.storage.state.dynamoDB
        let store = DynamoDBJobStore(
            DynamoDBConfiguration(
                table: settings.table,
                aws: AWSConfiguration(
                    region: settings.region.isEmpty ? nil : settings.region,
                    endpoint: settings.endpoint.isEmpty ? nil : settings.endpoint),
                createsTable: settings.createTable,
                timeToLive: settings.timeToLive == .zero ? nil : settings.timeToLive.components.seconds),
            http: HTTPClient())
        try await store.check()
        return WorkerStores(jobs: store)
    }
}
