extension Configuration {
    /// Limits and times of jobs.
    public struct Joblet: Sendable, Equatable {
        /// CPU of a job that asks for none, in percent of one core (`joblet.defaultCpuLimit`); 0: no limit.
        public var defaultCPULimit = 100
        /// Memory of a job that asks for none, in MiB (`joblet.defaultMemoryLimit`); 0: no limit.
        public var defaultMemoryLimit = 512
        /// Processes and threads that one job may have (`joblet.defaultPids`).
        public var defaultPIDs = 4096
        /// Jobs that may exist and not have ended (`joblet.maxConcurrentJobs`); 0: no limit.
        public var maxConcurrentJobs = 100
        /// Time after which a job is stopped that names none (`joblet.jobTimeout`); zero: never.
        public var jobTimeout = Duration.zero
        /// Time between SIGTERM and SIGKILL when a job is stopped (`joblet.cleanupTimeout`).
        public var cleanupTimeout = Duration.seconds(5)
        /// What becomes of running jobs when the daemon is told to end (`joblet.onShutdown`).
        public var onShutdown = Shutdown.leave

        /// Makes the defaults.
        public init() {}
    }

    /// What becomes of running jobs when the daemon is told to end.
    public enum Shutdown: String, Sendable, CaseIterable {
        /// They run on, and the next daemon finds them.
        case leave
        /// They are stopped first, as if someone had asked for each.
        case stop
    }

    /// Where the jobs' cgroups are made.
    public struct Cgroup: Sendable, Equatable {
        /// Directory for the jobs' cgroups (`cgroup.baseDir`); none: below the cgroup that the daemon was started in.
        public var baseDirectory: String?

        /// Makes the defaults.
        public init() {}
    }

    /// What a job sees of the host's files.
    public struct Filesystem: Sendable, Equatable {
        /// Host paths that every job sees at the same place, read-only (`filesystem.allowedMounts`); those that the
        /// host does not have are left out. Directories with private keys (`/etc/ssl/private`) are not among them.
        public var allowedMounts = [
            "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
            "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
            "/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
            "/etc/localtime", "/etc/timezone", "/etc/os-release", "/etc/debian_version",
            "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/host.conf", "/etc/gai.conf",
            "/etc/protocols", "/etc/services", "/etc/mime.types", "/etc/fonts", "/etc/perl", "/etc/python3",
        ]
        /// The job's working directory, where uploads appear (`filesystem.workspaceDir`).
        public var workspaceDirectory = "/work"

        /// Makes the defaults.
        public init() {}
    }

    /// The job's working directory.
    public struct Work: Sendable, Equatable {
        /// Size up to which it is kept in memory (`work.memoryMax`).
        public var memoryMax = 256 << 20
        /// Size of one that is on disk (`work.diskMax`); 0 for no limit.
        public var diskMax = 10 << 30
        /// Whether it is a directory on disk for every job (`work.onDisk`).
        public var onDisk = false

        /// Makes the defaults.
        public init() {}
    }

    /// The job's /tmp.
    public struct Tmp: Sendable, Equatable {
        /// Its size (`tmp.size`).
        public var size = 64 << 20

        /// Makes the defaults.
        public init() {}
    }

    static let jobKeys: [ConfigurationKey] = [
        ConfigurationKey("joblet.defaultCpuLimit", \.joblet.defaultCPULimit, .integer(0...1_000_000)),
        ConfigurationKey("joblet.defaultMemoryLimit", \.joblet.defaultMemoryLimit, .integer(0...Int(Int32.max))),
        ConfigurationKey("joblet.defaultPids", \.joblet.defaultPIDs, .integer(1...4_194_304)),
        ConfigurationKey("joblet.maxConcurrentJobs", \.joblet.maxConcurrentJobs, .integer(0...1_000_000)),
        ConfigurationKey("joblet.jobTimeout", \.joblet.jobTimeout, .duration(.zero ... .hours(8760))),
        ConfigurationKey("joblet.cleanupTimeout", \.joblet.cleanupTimeout, .duration(.zero ... .hours(1))),
        ConfigurationKey("joblet.onShutdown", \.joblet.onShutdown, .choice()),
        ConfigurationKey("dataDir", \.dataDirectory, .path),
        ConfigurationKey("runDir", \.runDirectory, .path),
        ConfigurationKey("cgroup.baseDir", \.cgroup.baseDirectory, .pathOrDefault),
        ConfigurationKey("filesystem.allowedMounts", \.filesystem.allowedMounts, .paths),
        ConfigurationKey("filesystem.workspaceDir", \.filesystem.workspaceDirectory, .path),
        ConfigurationKey("work.memoryMax", \.work.memoryMax, .size(64 << 10...1 << 40)),
        ConfigurationKey("work.diskMax", \.work.diskMax, .size(16 << 20...1 << 50, orZero: true)),
        ConfigurationKey("work.onDisk", \.work.onDisk, .boolean),
        ConfigurationKey("tmp.size", \.tmp.size, .size(64 << 10...1 << 40)),
    ]
}
