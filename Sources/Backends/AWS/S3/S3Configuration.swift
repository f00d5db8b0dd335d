/// Where in S3 logs are kept, and how they are cut into objects.
package struct S3Configuration: Sendable {
    /// How the service encrypts what it keeps.
    package enum Encryption: Sendable, Hashable {
        /// As the bucket says.
        case bucketDefault
        /// With keys of S3 (SSE-S3).
        case s3
        /// With a key of KMS (SSE-KMS); nil for the account's own.
        case kms(key: String?)
    }

    /// The bucket.
    package var bucket: String
    /// What all keys begin with; empty or without slashes at its ends.
    package var prefix: String
    /// The node whose logs these are: several nodes may share a bucket, one process writes a node's keys.
    package var node: String
    /// How the service is reached.
    package var aws: AWSConfiguration
    /// Whether the bucket stands in the path rather than in the host's name.
    package var usesPathStyle: Bool
    /// Whether a missing bucket is made.
    package var createsBucket = false
    /// Whether the bucket gets a lifecycle rule for old versions of the prefix's keys.
    package var setsLifecycle = false
    /// How objects are encrypted.
    package var encryption = Encryption.bucketDefault
    /// Bytes of text of one job from which on they are written without a `sync`.
    package var objectBytes = 16 << 20
    /// Compressed bytes from which on a job gets an object of its own rather than a part of a pack.
    package var ownObjectBytes = 1 << 20
    /// Compressed bytes of a pack at most.
    package var packBytes = 8 << 20
    /// Small packs from which on they are merged.
    package var smallPacks = 32
    /// Milliseconds that a `sync` waits for those of other jobs, to be written in one object with them.
    package var gather = 250
    /// Bytes that wait to be written, of all jobs, from which on `append` waits for them.
    package var memoryBytes = 64 << 20

    /// A bucket with the given name; path style where the endpoint is not AWS's or the name has dots.
    package init(bucket: String, prefix: String = "joblet", node: String, aws: AWSConfiguration = AWSConfiguration()) {
        self.bucket = bucket
        self.prefix = prefix
        self.node = node
        self.aws = aws
        usesPathStyle = aws.endpoint != nil || bucket.contains(".")
    }
}
