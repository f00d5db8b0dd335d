import CloudBackends
import LocalStores
import Server
import Storage

/// The stores of output and samples that the configuration names.
enum StoreFactory {
    /// Opens the stores; one in the cloud was asked whether it can be used.
    static func stores(_ configuration: Server.Configuration) async throws -> WorkerStores {
        let local = LocalStores(configuration)
        let logs: any LogStore
        if let found = try local.logs() { logs = found } else { logs = try await s3Logs(configuration) }
        return WorkerStores(logs: logs, metrics: try local.metrics())
    }

    private static func s3Logs(_ configuration: Server.Configuration) async throws -> S3LogStore {
        let settings = configuration.storage.logs.s3
        let aws = AWSConfiguration(
            region: settings.region.isEmpty ? nil : settings.region,
            endpoint: settings.endpoint.isEmpty ? nil : settings.endpoint)
        var bucket = S3Configuration(
            bucket: settings.bucket, prefix: settings.prefix, node: try configuration.nodeID(), aws: aws)
        if settings.pathStyle { bucket.usesPathStyle = true }
        bucket.createsBucket = settings.createBucket
        bucket.encryption =
            switch settings.encryption {
            case .bucketDefault: .bucketDefault
            case .aes256: .s3
            case .kms: .kms(key: settings.kmsKeyID.isEmpty ? nil : settings.kmsKeyID)
            }
        let store = S3LogStore(bucket, http: HTTPClient())
        try await store.check()
        return store
    }
}
