import FoundationEssentials
import YAML

extension Configuration {
    /// A configuration and where it came from.
    public struct Loaded: Sendable {
        /// The values, with those of the environment.
        public let configuration: Configuration
        /// The file that was read; nil if there was none and the defaults apply.
        public let file: String?
        /// The file's format.
        public let format: Format
        /// What the file says that has no effect, in its order, then what is allowed and risky.
        public let warnings: [Problem]
    }

    /// Places where a file is looked for when none is named; the first that exists is the one.
    public static let searchPath = [
        "/opt/joblet/config/joblet-config.yml", "config/joblet-config.yml", "joblet-config.yml",
        "/etc/joblet/joblet-config.yml", "/opt/joblet/joblet-config.yml",
    ]

    /// Environment variables that set a key, whatever a file says; an empty one counts as not set.
    public static let environmentKeys: [(variable: String, key: String)] = [
        ("JOBLET_SERVER_ADDRESS", "server.address"),
        ("JOBLET_SERVER_PORT", "server.port"),
        ("JOBLET_NODE_ID", "server.nodeId"),
        ("JOBLET_LOG_LEVEL", "logging.level"),
        ("JOBLET_LOG_FORMAT", "logging.format"),
        ("JOBLET_MAX_JOBS", "joblet.maxConcurrentJobs"),
    ]

    /// Finds, reads and checks the configuration: the file, then the environment.
    ///
    /// A file that is named, by `path` or else by `JOBLET_CONFIG_PATH`, must exist; of the search path none needs to.
    ///
    /// - Throws: every problem that was found.
    public static func load(
        path: String?, environment: [String: String]
    ) throws(LoadError) -> Loaded {
        try load(
            path: path, environment: environment, searchPath: searchPath, cores: ProcessInfo.processInfo.processorCount)
    }

    static func load(
        path: String?, environment: [String: String], searchPath: [String], cores: Int
    ) throws(LoadError) -> Loaded {
        let variable = environment["JOBLET_CONFIG_PATH"].flatMap { $0.isEmpty ? nil : $0 }
        guard let file = try ConfigurationFile.open(path ?? variable, searchPath: searchPath) else {
            let configuration = try finish(defaults, [], environment, cores: cores, place: { _ in ("defaults", nil) })
            return Loaded(configuration: configuration, file: nil, format: .joblet, warnings: [])
        }
        var reader = ConfigurationReader(source: file.path)
        let format = reader.read(try ConfigurationDocument.parse(file.bytes, source: file.path))
        var problems = reader.problems
        if reader.configuration.security.serverKey != nil, file.mode & 0o077 != 0 {
            let mode = String(file.mode & 0o777, radix: 8)
            problems.append(
                Problem(
                    .warning, source: file.path, at: reader.positions["security.serverKey"],
                    keyPath: "security.serverKey",
                    "the file holds a private key and others may read it (mode 0\(mode)): chmod 600"))
        }
        let positions = reader.positions
        let configuration = try finish(
            reader.configuration, problems, environment, cores: cores, place: { (file.path, positions[$0]) })
        problems += configuration.exposures.map {
            Problem(.warning, source: file.path, at: positions[$0.key], keyPath: $0.key, $0.message)
        }
        let warnings = problems.filter { $0.severity == .warning }
        return Loaded(configuration: configuration, file: file.path, format: format, warnings: warnings)
    }

    /// Applies the environment, then checks what must hold between keys; throws if anything was or is wrong.
    private static func finish(
        _ read: Configuration, _ found: [Problem], _ environment: [String: String], cores: Int,
        place: (String) -> (source: String, position: Mark?)
    ) throws(LoadError) -> Configuration {
        var configuration = read
        var problems = found
        var places: [String: String] = [:]
        for (variable, path) in environmentKeys {
            guard let text = environment[variable], !text.isEmpty, let key = keys.first(where: { $0.path == path })
            else { continue }
            places[path] = variable
            do {
                try key.read(Node(.scalar(.init(text))), &configuration)
            } catch {
                problems += error.findings.map { Problem(source: variable, keyPath: path, $0.message) }
            }
        }
        // Rules between keys are only checked on values that are good by themselves.
        if !problems.contains(where: { $0.severity == .error }) {
            problems += configuration.conflicts(cores: cores).map { conflict in
                let (source, position) = places[conflict.key].map { ($0, nil) } ?? place(conflict.key)
                return Problem(source: source, at: position, keyPath: conflict.key, conflict.message)
            }
        }
        guard !problems.contains(where: { $0.severity == .error }) else { throw LoadError(problems) }
        return configuration
    }
}
