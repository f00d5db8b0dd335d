extension OriginalFormat {
    /// What a value of the original is in our words.
    enum Conversion: Sendable {
        /// These keys have these values.
        case values([(key: String, value: String)])
        /// Nothing here corresponds to that value, for this reason.
        case ignored(String)
        /// The value is not one that the original knows.
        case refused(allowed: String)
    }

    /// Keys whose meaning other keys say in other words.
    static let conversions: [String: @Sendable (String) -> Conversion] = [
        "ipc.enabled": { text in
            switch text.lowercased() {
            case "true": .values([("storage.mode", "workers")])
            case "false": .values([("storage.mode", "embedded")])
            default: .refused(allowed: "true or false")
            }
        },
        "persist.storage.type": { text in
            switch text {
            case "local": .values([("storage.logs.backend", "local-gzip"), ("storage.metrics.backend", "local-gzip")])
            case "s3", "cloud":
                // In the one bucket: that of the samples is that of the logs where nothing else is said.
                .values([
                    ("storage.mode", "workers"), ("storage.logs.backend", "s3"), ("storage.metrics.backend", "s3"),
                ])
            case "cloudwatch":
                .ignored("CloudWatch is no backend here; logs are stored as storage.logs.backend says")
            default: .refused(allowed: "one of local, s3, cloud, cloudwatch")
            }
        },
        "persist.storage.cloud.provider": { text in
            text.lowercased() == "aws" ? .values([]) : .refused(allowed: "aws, the one provider")
        },
        "persist.storage.cloud.s3.bucket": { text in .values([("storage.logs.s3.bucket", text)]) },
        "persist.storage.cloud.s3.region": { text in .values([("storage.logs.s3.region", text)]) },
        "persist.storage.retention.logs_days": { days($0, of: "storage.logs.retention.maxAge") },
        "persist.storage.retention.metrics_days": { days($0, of: "storage.metrics.retention.maxAge") },
        "persist.storage.retention.cleanup_interval": { text in
            .values([
                ("storage.logs.retention.cleanupInterval", text), ("storage.metrics.retention.cleanupInterval", text),
            ])
        },
        "state.backend": { text in
            switch text {
            case "dynamodb": .values([("storage.mode", "workers"), ("storage.state.backend", "dynamodb")])
            case "memory": .ignored("records are kept in a database, so that a restart loses none")
            case "redis": .ignored("redis is no backend; the original has none either")
            default: .refused(allowed: "one of memory, dynamodb, redis")
            }
        },
        "state.storage.dynamodb.ttl_days": { days($0, of: "storage.state.dynamodb.ttl") },
        "state.storage.dynamodb.ttl_enabled": { text in
            switch text.lowercased() {
            case "true": .values([])
            case "false": .values([("storage.state.dynamodb.ttl", "0s")])
            default: .refused(allowed: "true or false")
            }
        },
    ]

    /// When a key is applied, wherever it stands: a backend in the cloud has its workers whatever `ipc.enabled` says, and
    /// what switches another key off has the last word.
    static func rank(of path: String) -> Int {
        switch path {
        case "ipc.enabled": 0
        case "state.storage.dynamodb.ttl_enabled": 2
        default: 1
        }
    }

    private static func days(_ text: String, of key: String) -> Conversion {
        guard let days = Digits.number(text), days <= 36_500 else {
            return .refused(allowed: "a whole number of days, 0 to 36500")
        }
        return .values([(key, "\(24 * days)h")])
    }
}
