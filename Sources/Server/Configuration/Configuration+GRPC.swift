extension Configuration {
    /// Limits of the gRPC server.
    public struct GRPC: Sendable, Equatable {
        /// The largest message that is received (`grpc.maxRecvMsgSize`).
        public var maxReceiveMessageBytes = 128 << 20
        /// Calls that one connection may have open (`grpc.maxConcurrentStreams`).
        public var maxConcurrentStreams = 1000
        /// Silence after which the server asks whether a client is still there (`grpc.keepAliveTime`).
        public var keepAliveTime = Duration.seconds(30)
        /// Time that the client has to answer (`grpc.keepAliveTimeout`).
        public var keepAliveTimeout = Duration.seconds(10)
        /// Connections that may be open (`grpc.maxConnections`); 0: no limit.
        public var maxConnections = 1000
        /// Time without any call after which a connection is closed (`grpc.maxConnectionIdle`); zero: never.
        public var maxConnectionIdle = Duration.seconds(300)
        /// Age at which a connection is asked to end (`grpc.maxConnectionAge`); zero: never.
        public var maxConnectionAge = Duration.zero
        /// Time that the calls of such a connection have to end (`grpc.maxConnectionAgeGrace`).
        public var maxConnectionAgeGrace = Duration.seconds(30)

        /// Makes the defaults.
        public init() {}
    }

    /// The daemon's own log.
    public struct Logging: Sendable, Equatable {
        /// The least severe message that is written (`logging.level`).
        public var level = LogLevel.info
        /// How a message is written (`logging.format`).
        public var format = LogFormat.text

        /// Makes the defaults.
        public init() {}
    }

    /// Severity of a log message.
    public enum LogLevel: String, Sendable, CaseIterable {
        /// Detailed flow.
        case debug = "DEBUG"
        /// Life of jobs and normal operations.
        case info = "INFO"
        /// Limits reached, slow clients, recovered errors.
        case warn = "WARN"
        /// Failures.
        case error = "ERROR"
    }

    /// How a log message is written.
    public enum LogFormat: String, Sendable, CaseIterable {
        /// `[time] [LEVEL] message | key=value`.
        case text
        /// One JSON object a line.
        case json
    }

    static let grpcKeys: [ConfigurationKey] = [
        ConfigurationKey("grpc.maxRecvMsgSize", \.grpc.maxReceiveMessageBytes, .size(64 << 10...2047 << 20)),
        ConfigurationKey("grpc.maxConcurrentStreams", \.grpc.maxConcurrentStreams, .integer(1...Int(Int32.max))),
        ConfigurationKey("grpc.keepAliveTime", \.grpc.keepAliveTime, .duration(.seconds(1) ... .hours(24))),
        ConfigurationKey("grpc.keepAliveTimeout", \.grpc.keepAliveTimeout, .duration(.seconds(1) ... .seconds(600))),
        ConfigurationKey("grpc.maxConnections", \.grpc.maxConnections, .integer(0...1_000_000)),
        ConfigurationKey("grpc.maxConnectionIdle", \.grpc.maxConnectionIdle, .duration(.zero ... .hours(8760))),
        ConfigurationKey("grpc.maxConnectionAge", \.grpc.maxConnectionAge, .duration(.zero ... .hours(8760))),
        ConfigurationKey(
            "grpc.maxConnectionAgeGrace", \.grpc.maxConnectionAgeGrace, .duration(.seconds(1) ... .hours(24))),
    ]

    static let loggingKeys: [ConfigurationKey] = [
        ConfigurationKey("logging.level", \.logging.level, .choice()),
        ConfigurationKey("logging.format", \.logging.format, .choice()),
    ]
}
