public import ArgumentParser
import Foundation
public import Server

/// The stores that a copy fills: `BACKEND:PLACE`.
///
/// The place of a local backend is a directory that is laid out as a data directory: `logs`, `metrics` and `state`
/// below it. That of `s3` is `BUCKET/PREFIX`, that of `dynamodb` a table; what else they need the configuration says.
public struct CopyTarget: ExpressibleByArgument, Sendable, CustomStringConvertible {
    private let backend: String
    private let place: String

    /// Nil for what is no backend and place.
    public init?(argument: String) {
        let parts = argument.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return nil }
        (backend, place) = (parts[0], parts[1])
    }

    public var description: String { "\(backend):\(place)" }

    /// The configuration of the target's stores of logs and samples, which is `source` otherwise.
    public func output(_ source: Server.Configuration) throws -> Server.Configuration {
        var target = source
        switch Server.Configuration.LogBackend(rawValue: backend) {
        case .localGzip, .sqlite:
            let kind: Server.Configuration.LogBackend = backend == "sqlite" ? .sqlite : .localGzip
            target.dataDirectory = directory
            target.storage.logs.backend = kind
            target.storage.logs.directory = nil
            target.storage.metrics.backend = kind
            target.storage.metrics.directory = nil
            let isSame =
                kind == source.storage.logs.backend && Self.isSame(target.logDirectory, source.logDirectory)
                || kind == source.storage.metrics.backend
                    && Self.isSame(target.metricDirectory, source.metricDirectory)
            if isSame { throw copyOntoItself }
        case .s3:
            let parts = place.split(separator: "/", maxSplits: 1).map(String.init)
            target.storage.logs.backend = .s3
            target.storage.logs.s3.bucket = parts.first ?? ""
            target.storage.logs.s3.prefix = parts.count == 2 ? parts[1] : ""
            target.storage.metrics.backend = .s3
            target.storage.metrics.s3 = source.metricBucket
            target.storage.metrics.s3.bucket = target.storage.logs.s3.bucket
            target.storage.metrics.s3.prefix = target.storage.logs.s3.prefix
            let isSame =
                source.storage.logs.backend == .s3 && target.storage.logs.s3 == source.storage.logs.s3
                || source.storage.metrics.backend == .s3 && target.metricBucket == source.metricBucket
            if isSame { throw copyOntoItself }
        case .memory, nil:
            throw ValidationError("--to \(self): the backends are local-gzip, sqlite and s3")
        }
        return target
    }

    /// The configuration of the target's store of job records, which is `source` otherwise.
    public func state(_ source: Server.Configuration) throws -> Server.Configuration {
        var target = source
        switch Server.Configuration.StateBackend(rawValue: backend) {
        case .sqlite:
            target.dataDirectory = directory
            target.storage.state.backend = .sqlite
            target.storage.state.path = nil
            let isSame =
                source.storage.state.backend == .sqlite && Self.isSame(target.stateDatabase, source.stateDatabase)
            if isSame { throw copyOntoItself }
        case .dynamodb:
            target.storage.state.backend = .dynamodb
            target.storage.state.dynamoDB.table = place
            let isSame = source.storage.state.backend == .dynamodb && source.storage.state.dynamoDB.table == place
            if isSame { throw copyOntoItself }
        case .memory, nil:
            throw ValidationError("--to \(self): the backends are sqlite and dynamodb")
        }
        return target
    }

    /// Claims the directory of a target on this machine, which is made where it is missing; nil for others, and for
    /// the data directory of `source`, which is claimed already.
    public func claim(_ target: Server.Configuration, besides source: Server.Configuration) async throws -> StoreClaim?
    {
        guard !Self.isSame(target.dataDirectory, source.dataDirectory) else { return nil }
        try FileManager.default.createDirectory(
            atPath: target.dataDirectory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        return try await StoreClaim.take(target.dataDirectory, sockets: [])
    }

    private var copyOntoItself: ValidationError { ValidationError("--to \(self): that is what would be copied") }

    private var directory: String { URL(fileURLWithPath: place).standardizedFileURL.path }

    private static func isSame(_ left: String, _ right: String) -> Bool {
        URL(fileURLWithPath: left).resolvingSymlinksInPath() == URL(fileURLWithPath: right).resolvingSymlinksInPath()
    }
}
