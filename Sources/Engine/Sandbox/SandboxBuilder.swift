import CLinux
import Glibc
import Kernel

/// Builds a job's sandbox from the inside and becomes the job.
///
/// Runs in the cloned child, as the host's root in new pid, mount, ipc and uts namespaces, single-threaded.
/// The order matters: everything privileged is mounted before the child enters its user namespace, so that
/// the mount namespace does not belong to the job and it can undo none of it.
public struct SandboxBuilder {
    private let plan: SandboxPlan
    private let userNamespace: Int32
    private var step = "start"

    /// A builder of `plan`; `userNamespace` is a namespace with the plan's ids mapped, −1 for none.
    public init(plan: SandboxPlan, userNamespace: Int32) {
        self.plan = plan
        self.userNamespace = userNamespace
    }

    /// The descriptors that the child keeps: everything else is closed before the job begins.
    public struct Descriptors {
        /// The job's output.
        public var stdout: Int32
        /// The job's error output.
        public var stderr: Int32
        /// Where the marker byte goes just before the job begins.
        public var status: Int32
        /// The program that is PID 1 under `usesInit`; −1 for none.
        public var initProgram: Int32
        /// The `tasks` files of the job's cgroups where clone3(2) could not place the child: v1 only.
        public var tasks: [Int32] = []

        /// A set of descriptors.
        public init(stdout: Int32, stderr: Int32, status: Int32, initProgram: Int32) {
            self.stdout = stdout
            self.stderr = stderr
            self.status = status
            self.initProgram = initProgram
        }
    }

    /// Builds everything, writes the marker byte and executes.
    ///
    /// A step that fails is reported on the status pipe, and the process ends.
    /// After the marker byte nothing is thrown: a program that cannot be executed ends the child with 127
    /// or 126 and a line on its standard error, as a shell would.
    public mutating func run(_ descriptors: Descriptors) -> Never {
        do throws(SystemCallError) {
            try beginSession()
            try joinCgroups(descriptors.tasks)
            try mountAll()
            try sealRoot()
            try limitResources()
            try giveOutput(descriptors)
            try enterUserNamespace()
            try takeDescriptors(descriptors)
            try dropPrivileges()
        } catch {
            SandboxBuilder.report("\(step) (\(error.operation))", error.code, to: descriptors.status)
        }
        Execution(plan: plan).run()
    }

    /// Everything that needs a descriptor of the new root, which is closed again before its number may be given to
    /// another file.
    private mutating func mountAll() throws(SystemCallError) {
        let root = try mountRoot()
        try mountFiles(in: root)
        try mountDevices()
        try mountProcesses()
        try mountWork(in: root)
    }

    private func inRoot(_ path: String) -> String { plan.rootMount + path }

    /// Leaves behind what a child inherits: the terminal, ignored and blocked signals.
    private mutating func beginSession() throws(SystemCallError) {
        step = "session"
        // Else /dev/tty would be the terminal that the shim was started from.
        try retrying("setsid") { setsid() }
        for number in 1..<Int32(NSIG) { signal(number, SIG_DFL) }
        var none = sigset_t()
        sigemptyset(&none)
        try retrying("sigprocmask") { sigprocmask(SIG_SETMASK, &none, nil) }
    }

    private mutating func joinCgroups(_ tasks: [Int32]) throws(SystemCallError) {
        guard !tasks.isEmpty else { return }
        step = "cgroup"
        // `0` is the writer itself; `tasks` rather than cgroup.procs, whose first write after a pause
        // waits 5 to 17 ms for a grace period.
        for file in tasks { try retrying("write tasks") { write(file, "0", 1) } }
        try check(joblet_unshare(UInt64(JOBLET_CLONE_NEWCGROUP)), "unshare")
    }

    private mutating func mountRoot() throws(SystemCallError) -> SandboxRoot {
        step = "root filesystem"
        umask(0)
        try mount("none", "/", "", UInt64(MS_REC | MS_PRIVATE), "")
        try mount("tmpfs", plan.rootMount, "tmpfs", UInt64(MS_NOSUID | MS_NODEV), "mode=0755,size=4m")
        let root = try SandboxRoot(plan.rootMount)
        for path in ["/proc", "/dev", "/sys", "/tmp", plan.workMount, "/run", "/var", "/var/tmp", "/root", "/etc"] {
            try root.makeDirectory(path)
        }
        return root
    }

    private mutating func mountFiles(in root: SandboxRoot) throws(SystemCallError) {
        for bind in plan.binds {
            step = "mount \(bind.target)"
            try root.attach(
                bind.source, at: bind.target,
                attributes: SandboxBuilder.bindAttributes | (bind.isReadOnly ? UInt64(JOBLET_MOUNT_ATTR_RDONLY) : 0),
                owner: plan.mapsFileOwners ? userNamespace : -1)
        }
        step = "root filesystem"
        for link in plan.links { try root.link(link.path, to: link.destination) }
        // Programs count processors here; the rest of sysfs shows the host and stays out.
        step = "sys"
        let processors = "/sys/devices/system/cpu"
        if Directory.exists(processors) {
            try root.attach(
                processors, at: processors,
                attributes: SandboxBuilder.bindAttributes | UInt64(JOBLET_MOUNT_ATTR_RDONLY), owner: -1)
        }
    }

    private static let bindAttributes = UInt64(JOBLET_MOUNT_ATTR_NOSUID | JOBLET_MOUNT_ATTR_NODEV)

    private mutating func mountDevices() throws(SystemCallError) {
        step = "devices"
        let dev = inRoot("/dev")
        try mount("tmpfs", dev, "tmpfs", UInt64(MS_NOSUID | MS_NOEXEC), "mode=0755,size=64k")
        let nodes: [(String, UInt32, UInt32)] = [
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
        ]
        for (name, major, minor) in nodes {
            try check(joblet_mknod_char("\(dev)/\(name)", 0o666, major, minor), "mknod /dev/\(name)")
        }
        for name in ["pts", "shm"] { try Directory.create("\(dev)/\(name)", mode: 0o755) }
        let base = plan.idBase ?? 0
        // Group 5 is tty, which the prepared /etc/group names.
        try mount(
            "devpts", "\(dev)/pts", "devpts", UInt64(MS_NOSUID | MS_NOEXEC),
            "newinstance,ptmxmode=0666,mode=0620,gid=\(base + 5)")
        try mountMemory("/dev/shm", "mode=1777", plan.sharedMemoryBytes, UInt64(MS_NOEXEC))
        let links = [
            ("/proc/self/fd", "fd"), ("/proc/self/fd/0", "stdin"), ("/proc/self/fd/1", "stdout"),
            ("/proc/self/fd/2", "stderr"), ("pts/ptmx", "ptmx"),
        ]
        for (destination, name) in links {
            try retrying("symlink /dev/\(name)") { symlink(destination, "\(dev)/\(name)") }
        }
        // MS_NODEV would forbid the nodes above, so the tmpfs is only made read-only.
        try mount("none", dev, "", UInt64(MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC), "")
    }

    private mutating func mountProcesses() throws(SystemCallError) {
        step = "proc"
        let proc = inRoot("/proc")
        let flags = UInt64(MS_NOSUID | MS_NODEV | MS_NOEXEC)
        try mount("proc", proc, "proc", flags, "")
        for name in MaskedPaths.readOnly(forHostRoot: plan.idBase == nil) where Directory.exists("\(proc)/\(name)") {
            try mount("\(proc)/\(name)", "\(proc)/\(name)", "", UInt64(MS_BIND), "")
            try mount("none", "\(proc)/\(name)", "", UInt64(MS_REMOUNT | MS_BIND | MS_RDONLY) | flags, "")
        }
        for name in MaskedPaths.hidden(fromHostRoot: plan.idBase == nil) {
            var status = stat()
            guard lstat("\(proc)/\(name)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                try mount("tmpfs", "\(proc)/\(name)", "tmpfs", flags | UInt64(MS_RDONLY), "size=0,mode=0555")
            } else {
                try mount(inRoot("/dev/null"), "\(proc)/\(name)", "", UInt64(MS_BIND), "")
            }
        }
    }

    private mutating func mountWork(in root: SandboxRoot) throws(SystemCallError) {
        step = "temporary directory"
        try mountMemory("/tmp", "mode=1777", plan.temporaryBytes, 0)
        try root.attach(inRoot("/tmp"), at: "/var/tmp", attributes: SandboxBuilder.bindAttributes, owner: -1)
        step = "work directory"
        switch plan.work {
        case .memory(let bytes): try mountMemory(plan.workMount, "mode=0755", bytes, 0)
        case .directory(let path):
            try root.attach(path, at: plan.workMount, attributes: SandboxBuilder.bindAttributes, owner: -1)
        }
        if !plan.staging.isEmpty {
            step = "uploads"
            try StagedFiles.copy(from: plan.staging, to: inRoot(plan.workMount), owner: plan.idBase ?? 0)
        }
    }

    private mutating func sealRoot() throws(SystemCallError) {
        step = "pivot root"
        try mount("none", plan.rootMount, "", UInt64(MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV), "")
        try retrying("chdir") { chdir(plan.rootMount) }
        // The old root lands on top of the new one and is detached from there (pivot_root(2), NOTES).
        try check(joblet_pivot_root(".", "."), "pivot_root")
        try check(joblet_umount(".", Int32(MNT_DETACH)), "umount the old root")
        try retrying("chdir /") { chdir("/") }
        step = "hostname"
        try retrying("sethostname") { sethostname(plan.hostname, plan.hostname.utf8.count) }
    }

    private mutating func limitResources() throws(SystemCallError) {
        step = "resource limits"
        for limit in plan.resourceLimits {
            try check(
                joblet_set_rlimit(limit.resource, limit.soft, limit.hard), "setrlimit \(limit.resource)")
        }
        try writeControl("/proc/self/oom_score_adj", "0")
    }

    /// Lets the job open /dev/stdout and /dev/stderr, which opens the pipes anew; other users of it may write.
    private mutating func giveOutput(_ given: Descriptors) throws(SystemCallError) {
        step = "descriptors"
        let base = plan.idBase ?? 0
        for number in [given.stdout, given.stderr] {
            try retrying("fchown") { fchown(number, base, base) }
            try retrying("fchmod") { fchmod(number, 0o622) }
        }
    }

    private mutating func enterUserNamespace() throws(SystemCallError) {
        if userNamespace >= 0 {
            step = "user namespace"
            try check(joblet_setns(userNamespace, UInt64(JOBLET_CLONE_NEWUSER)), "setns")
        }
        if plan.isolatesNetwork {
            // After the user namespace, so that the job's root may bind low ports in it.
            step = "network namespace"
            try check(joblet_unshare(UInt64(JOBLET_CLONE_NEWNET)), "unshare")
            try check(joblet_loopback_up(), "bring up the loopback")
        }
        step = "user"
        try check(joblet_drop_groups(), "setgroups")
        try check(joblet_set_ids(0, 0), "setresuid")
    }

    private mutating func takeDescriptors(_ given: Descriptors) throws(SystemCallError) {
        step = "descriptors"
        let null = try check(joblet_open(AT_FDCWD, "/dev/null", O_RDONLY, 0), "open /dev/null")
        // Moved above the ones they are copied to, so that no copy overwrites a later source.
        var high: [Int32] = []
        var sources = [null, given.stdout, given.stderr, given.status]
        if given.initProgram >= 0 { sources.append(given.initProgram) }
        for number in sources {
            high.append(try retrying("dup") { fcntl(number, F_DUPFD_CLOEXEC, 16) })
        }
        for (number, target) in zip(high, [0, 1, 2] as [Int32]) {
            try retrying("dup2") { dup2(number, target) }
        }
        try place(high[3], at: Execution.statusDescriptor)
        var next = Execution.statusDescriptor + 1
        if given.initProgram >= 0 {
            try place(high[4], at: Execution.initDescriptor)
            next = Execution.initDescriptor + 1
        }
        try check(joblet_close_range(UInt32(next), UInt32.max, 0), "close_range")
        step = "work directory"
        try retrying("chdir \(plan.workDirectory)") { chdir(plan.workDirectory) }
        umask(0o022)
    }

    /// Says on the status pipe which step failed and with which error number, and ends the process.
    public static func report(_ step: String, _ code: Int32, to status: Int32) -> Never {
        var report: [UInt8] = [1]
        withUnsafeBytes(of: code.littleEndian) { report.append(contentsOf: $0) }
        report.append(contentsOf: step.utf8)
        // The write end may have been moved to its final number by then, or not yet.
        if write(status, report, report.count) < 0 {
            _ = write(Execution.statusDescriptor, report, report.count)
        }
        _exit(125)
    }

    private func place(_ number: Int32, at target: Int32) throws(SystemCallError) {
        try retrying("dup2") { dup2(number, target) }
        try retrying("fcntl") { fcntl(target, F_SETFD, FD_CLOEXEC) }
    }

    private mutating func dropPrivileges() throws(SystemCallError) {
        step = "capabilities"
        for capability in 0..<64 where plan.capabilities & 1 << UInt64(capability) == 0 {
            let status = joblet_prctl(JOBLET_PR_CAPBSET_DROP, UInt64(capability), 0)
            // EINVAL: beyond the last capability that this kernel knows.
            if status == -EINVAL { break }
            try check(status, "drop capability \(capability)")
        }
        try check(joblet_capset(plan.capabilities, plan.capabilities, 0), "capset")
        try check(joblet_prctl(JOBLET_PR_SET_NO_NEW_PRIVS, 1, 0), "no_new_privs")
        // Written before the filter, which sees only what the job itself may do.
        step = "start"
        var marker: UInt8 = 0
        try retrying("marker") { write(Execution.statusDescriptor, &marker, 1) }
        if !plan.seccomp.isEmpty {
            let status = plan.seccomp.withUnsafeBytes { buffer in
                joblet_install_seccomp(buffer.baseAddress, UInt16(buffer.count / 8))
            }
            if status < 0 { Execution.fail(126, "seccomp filter", -status) }
        }
    }

    /// A tmpfs of the job's own. Empty files take memory beyond its size, so that their number is limited too.
    private func mountMemory(
        _ path: String, _ mode: String, _ bytes: UInt64, _ flags: UInt64
    ) throws(SystemCallError) {
        let base = plan.idBase ?? 0
        try mount(
            "tmpfs", inRoot(path), "tmpfs", UInt64(MS_NOSUID | MS_NODEV) | flags,
            "\(mode),size=\(bytes),nr_inodes=\(bytes / 4096 + 1024),uid=\(base),gid=\(base)")
    }

    private func mount(
        _ source: String, _ target: String, _ type: String, _ flags: UInt64, _ data: String
    ) throws(SystemCallError) {
        try check(joblet_mount(source, target, type, flags, data), "mount \(type.isEmpty ? source : type)")
    }
}
