import FoundationEssentials

extension Configuration {
    /// What the command line says, which wins over the file and the environment.
    public struct Overrides: Sendable, Equatable {
        /// `--data-dir`: the data directory; a relative path counts from the working directory.
        public var dataDirectory: String?
        /// `--listen`: `host:port`, `host`, `:port` or `[IPv6]:port`; port 0 is any free port.
        public var listen: String?

        /// Makes a set of options, all of them absent unless given.
        public init(dataDirectory: String? = nil, listen: String? = nil) {
            self.dataDirectory = dataDirectory
            self.listen = listen
        }
    }

    /// Applies the options and checks again what must hold between keys.
    ///
    /// With `--data-dir` and no `runDir` of its own the run directory is `run` below the data directory, so that two
    /// daemons with a data directory each never meet.
    ///
    /// - Throws: every problem that was found; the configuration is unchanged then.
    public mutating func apply(_ overrides: Overrides) throws(LoadError) {
        try apply(overrides, workingDirectory: FileManager.default.currentDirectoryPath)
    }

    mutating func apply(_ overrides: Overrides, workingDirectory: String) throws(LoadError) {
        var changed = self
        var problems: [Problem] = []
        if let option = overrides.dataDirectory {
            let absolute = option.hasPrefix("/") || option.isEmpty ? option : workingDirectory + "/" + option
            if let path = AbsolutePath.parse(absolute) {
                changed.dataDirectory = path
                if runDirectory == Self.defaultRunDirectory { changed.runDirectory = path + "/run" }
            } else {
                problems.append(
                    Problem(
                        source: "--data-dir", keyPath: "dataDir",
                        "expected a path without \"..\", not \(YAMLScalar.quote(option))"))
            }
        }
        if let option = overrides.listen {
            if let (host, port) = Self.hostAndPort(option) {
                changed.server.address = host ?? changed.server.address
                changed.server.port = port ?? changed.server.port
            } else {
                problems.append(
                    Problem(
                        source: "--listen", keyPath: "server",
                        "expected host:port, host, :port or [IPv6 address]:port, not \(YAMLScalar.quote(option))"))
            }
        }
        if problems.isEmpty {
            problems = changed.conflicts(cores: nil).map {
                Problem(source: "--data-dir", keyPath: $0.key, $0.message)
            }
        }
        guard problems.isEmpty else { throw LoadError(problems) }
        self = changed
    }

    /// The parts of a listening address, nil if it is none; parts that are left out are nil.
    static func hostAndPort(_ text: String) -> (host: String?, port: Int?)? {
        let host: Substring
        let rest: Substring
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            rest = text[text.index(after: end)...]
            guard host.contains(":") else { return nil }
        } else if text.count(where: { $0 == ":" }) > 1 {
            (host, rest) = (text[...], "")
        } else {
            let colon = text.firstIndex(of: ":") ?? text.endIndex
            (host, rest) = (text[..<colon], text[colon...])
        }
        guard rest.isEmpty || rest.hasPrefix(":"), !text.isEmpty else { return nil }
        let port = rest.isEmpty ? nil : Digits.number(rest.dropFirst())
        guard rest.isEmpty || port.map({ (0...65535).contains($0) }) == true else { return nil }
        guard host.isEmpty || HostName.parse(String(host)) != nil else { return nil }
        return (host.isEmpty ? nil : String(host), port)
    }
}

extension Configuration.Loaded {
    /// The same with options applied; throws what makes them unusable.
    public func applying(_ overrides: Configuration.Overrides) throws(Configuration.LoadError) -> Self {
        var changed = configuration
        try changed.apply(overrides)
        return Self(configuration: changed, file: file, format: format, warnings: warnings)
    }
}
