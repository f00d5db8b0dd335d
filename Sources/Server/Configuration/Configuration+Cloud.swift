extension Configuration {
    /// The bucket of the samples: that of the logs where `storage.metrics.s3` sets nothing.
    public var metricBucket: S3 { storage.metrics.s3 == S3() ? storage.logs.s3 : storage.metrics.s3 }

    /// A bucket of S3 or of a service that speaks its protocol.
    public struct S3: Sendable, Equatable {
        /// The bucket's name (`bucket`).
        public var bucket = ""
        /// What every object's name begins with (`prefix`), without a slash at its ends.
        public var prefix = ""
        /// The bucket's region (`region`); empty: that of the environment or of the bucket.
        public var region = ""
        /// URL of a service other than AWS (`endpoint`); empty: AWS.
        public var endpoint = ""
        /// Whether the bucket stands in the path and not in the host name (`pathStyle`).
        public var pathStyle = PathStyle.automatic
        /// How the service encrypts what it stores (`serverSideEncryption`).
        public var encryption = ServerSideEncryption.bucketDefault
        /// The key for `aws:kms` (`kmsKeyId`); empty: the service's own.
        public var kmsKeyID = ""
        /// Whether a missing bucket is made (`createBucket`).
        public var createBucket = false
        /// Whether the bucket gets a rule that removes old versions (`lifecycle`).
        public var lifecycle = false

        /// Makes the defaults.
        public init() {}
    }

    /// Where a bucket's name stands in a request.
    public enum PathStyle: String, Sendable, CaseIterable {
        /// In the path where an endpoint is given or the name has dots, else in the host name.
        case automatic = "auto"
        /// In the path.
        case always = "true"
        /// In the host name.
        case never = "false"
    }

    /// How S3 encrypts what it stores.
    public enum ServerSideEncryption: String, Sendable, CaseIterable {
        /// As the bucket says.
        case bucketDefault = "default"
        /// With keys of S3.
        case aes256 = "AES256"
        /// With a key of KMS.
        case kms = "aws:kms"
    }

    /// A table of DynamoDB.
    public struct DynamoDB: Sendable, Equatable {
        /// The table's name (`table`).
        public var table = "joblet-jobs"
        /// Its region (`region`); empty: that of the environment.
        public var region = ""
        /// URL of a service other than AWS (`endpoint`); empty: AWS.
        public var endpoint = ""
        /// Whether a missing table is made (`createTable`).
        public var createTable = false
        /// Age since its end at which the service drops a job's record (`ttl`); zero: never.
        public var timeToLive = Duration.hours(30 * 24)

        /// Makes the defaults.
        public init() {}
    }

    /// How long and how much a store keeps of ended jobs.
    public struct Retention: Sendable, Equatable {
        /// Age of a job's latest entry at which its data is dropped (`maxAge`); zero: never.
        public var maxAge: Duration
        /// Bytes that all jobs may take, beyond which the oldest go first (`maxBytes`); 0: no limit.
        public var maxBytes = 0
        /// Bytes that one job may take, beyond which its oldest part goes (`maxJobBytes`); 0: no limit.
        public var maxJobBytes = 0
        /// How often that is looked for (`cleanupInterval`).
        public var cleanupInterval = Duration.hours(24)
        /// What becomes of what is not kept (`action`).
        public var action = RetentionAction.delete
        /// Where it is copied first (`archiveDirectory`), in the format of `local-gzip`.
        public var archiveDirectory: String?

        /// The defaults, with that age.
        public init(maxAge: Duration) {
            self.maxAge = maxAge
        }
    }

    /// What becomes of what is not kept.
    public enum RetentionAction: String, Sendable, CaseIterable {
        /// It is deleted.
        case delete
        /// It is copied, checked, and then deleted.
        case archive
    }
}
