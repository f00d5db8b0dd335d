import CloudBackends
import LocalStores
public import Server
public import Storage

/// Opens the stores that a configuration names, wherever they are; one in the cloud was asked whether it can be used.
public struct StoreFactory: Sendable {
    private let configuration: Server.Configuration

    /// The stores of `configuration`; nothing is opened yet.
    public init(_ configuration: Server.Configuration) {
        self.configuration = configuration
    }

    /// Opens the log store.
    public func logs() async throws -> any LogStore {
        if let logs = try LocalStores(configuration).logs() { return logs }
        let store = S3LogStore(try bucket(configuration.storage.logs.s3), http: HTTPClient())
        try await store.check()
        return store
    }

    /// Opens the metric store.
    public func metrics() async throws -> any MetricStore {
        if let metrics = try LocalStores(configuration).metrics() { return metrics }
        let store = S3MetricStore(try bucket(configuration.metricBucket), http: HTTPClient())
        try await store.check()
        return store
    }

    /// Opens the store of job records.
    public func jobs() async throws -> any JobStore {
        if let jobs = try LocalStores(configuration).jobs() { return jobs }
        let settings = configuration.storage.state.dynamoDB
        let store = DynamoDBJobStore(
            DynamoDBConfiguration(
                table: settings.table,
                aws: Self.service(region: settings.region, endpoint: settings.endpoint),
                createsTable: settings.createTable,
                timeToLive: settings.timeToLive == .zero ? nil : settings.timeToLive.components.seconds),
            http: HTTPClient())
        try await store.check()
        return store
    }

    private func bucket(_ settings: Server.Configuration.S3) throws -> S3Configuration {
        var bucket = S3Configuration(
            bucket: settings.bucket, prefix: settings.prefix, node: try configuration.nodeID(),
            aws: Self.service(region: settings.region, endpoint: settings.endpoint))
        if settings.pathStyle != .automatic { bucket.usesPathStyle = settings.pathStyle == .always }
        bucket.createsBucket = settings.createBucket
        bucket.setsLifecycle = settings.lifecycle
        bucket.encryption =
            switch settings.encryption {
            case .bucketDefault: .bucketDefault
            case .aes256: .s3
            case .kms: .kms(key: settings.kmsKeyID.isEmpty ? nil : settings.kmsKeyID)
            }
        return bucket
    }

    private static func service(region: String, endpoint: String) -> AWSConfiguration {
        AWSConfiguration(region: region.isEmpty ? nil : region, endpoint: endpoint.isEmpty ? nil : endpoint)
    }
}
