extension Configuration {
    /// User ids, namespaces and what a job may ask for.
    public struct Sandbox: Sendable, Equatable {
        /// The host's user and group ids that are lent to jobs (`sandbox.idRange`).
        public var idRange = IDRange()
        /// Whether a job gets a user namespace of its own (`sandbox.userNamespace`).
        public var userNamespace = true
        /// Whether a job may ask for the host's network (`sandbox.allowHostNetwork`).
        public var allowHostNetwork = true

        /// Makes the defaults.
        public init() {}
    }

    /// User and group ids of the host that are lent to jobs, 65,536 to each.
    public struct IDRange: Sendable, Equatable {
        /// The first id (`sandbox.idRange.first`).
        public var first = 0x7000_0000
        /// How many ranges of 65,536 ids follow from there (`sandbox.idRange.count`).
        public var count = 4094

        /// Makes the defaults.
        public init() {}

        /// Ids in one job's range.
        public static let idsPerJob = 65536
    }

    /// Networks of jobs.
    public struct Network: Sendable, Equatable {
        /// The network of a job that names none (`network.defaultNetwork`).
        public var defaultNetwork = NetworkKind.none

        /// Makes the defaults.
        public init() {}
    }

    /// A network that a job can be given.
    public enum NetworkKind: String, Sendable, CaseIterable {
        /// Loopback only.
        case none
        /// The host's own interfaces.
        case host
    }

    static let sandboxKeys: [ConfigurationKey] = [
        ConfigurationKey("sandbox.idRange.first", \.sandbox.idRange.first, .integer(65536...4_294_901_759)),
        ConfigurationKey("sandbox.idRange.count", \.sandbox.idRange.count, .integer(1...65534)),
        ConfigurationKey("sandbox.userNamespace", \.sandbox.userNamespace, .boolean),
        ConfigurationKey("sandbox.allowHostNetwork", \.sandbox.allowHostNetwork, .boolean),
        ConfigurationKey("network.defaultNetwork", \.network.defaultNetwork, .choice()),
    ]
}
