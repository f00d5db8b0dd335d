import Glibc

/// The environment variables and places that settings come from.
struct Surroundings {
    /// The value of a variable; an empty one counts as not set.
    let value: (String) -> String?
    /// In front of relative paths of the search; empty = the working directory.
    let directory: String
    /// In front of the absolute paths of the search; empty = the file system's root.
    let root: String

    init(directory: String = "", root: String = "", value: @escaping (String) -> String?) {
        self.directory = directory
        self.root = root
        self.value = { name in value(name).flatMap { $0.isEmpty ? nil : $0 } }
    }

    /// Those of this process.
    static var process: Surroundings {
        Surroundings { name in getenv(name).flatMap { String(validatingCString: $0) } }
    }

    /// Configuration files in the order in which they are looked for, without the one that a flag names.
    var configurationFiles: [String] {
        var paths = value("RNX_CONFIG").map { [$0] } ?? []
        paths += ["rnx-config.yml", "config/rnx-config.yml"].map { directory + $0 }
        paths += value("HOME").map { ["\($0)/.rnx/rnx-config.yml"] } ?? []
        paths += ["/etc/joblet/rnx-config.yml", "/opt/joblet/config/rnx-config.yml"].map { root + $0 }
        return paths
    }
}
