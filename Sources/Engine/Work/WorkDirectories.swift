import Glibc
import Kernel
import Sandbox
import Storage

/// The jobs' work directories that lie on disk.
///
/// Each has a file system of its own in a sparse file, so that a job cannot fill the disk; with no limit it is a plain
/// directory.
actor WorkDirectories {
    private let thread = BlockingExecutor.shared.thread()
    private let directory: String
    private let memoryBytes: UInt64
    private let diskBytes: UInt64
    private let isAlwaysOnDisk: Bool
    /// Jobs whose files are being unmounted.
    private var closing: [JobID: Task<Void, Never>] = [:]
    /// How often the files of a job are open.
    private var readers: [JobID: Int] = [:]

    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    init(_ configuration: EngineConfiguration) {
        directory = "\(configuration.dataDirectory)/work"
        memoryBytes = configuration.workMemoryBytes
        diskBytes = configuration.workDiskBytes
        isAlwaysOnDisk = configuration.workOnDisk
    }

    /// Where the host shows a job's work directory.
    nonisolated func path(of job: JobID) -> String { "\(directory)/\(job)" }

    private nonisolated func image(of job: JobID) -> WorkImage {
        WorkImage(path: "\(directory)/\(job).img", mountPoint: path(of: job))
    }

    /// Makes the work directory that a job asks for: in memory, or on disk where it is kept, where its uploads in
    /// `staging` do not leave half of the memory free, or where every job has it there.
    nonisolated func make(for record: JobRecord, staging: String?) async throws(EngineError) -> SandboxPlan.Work {
        // Most jobs need nothing of a thread that may block.
        guard isAlwaysOnDisk || record.specification.keepsWork || staging != nil else {
            return .memory(bytes: memoryBytes)
        }
        return try await makeOnDisk(for: record, staging: staging)
    }

    private func makeOnDisk(for record: JobRecord, staging: String?) throws(EngineError) -> SandboxPlan.Work {
        do throws(SystemCallError) {
            let uploaded = try staging.map { path throws(SystemCallError) in try WorkDirectories.size(of: path) } ?? 0
            guard isAlwaysOnDisk || record.specification.keepsWork || uploaded > memoryBytes / 2 else {
                return .memory(bytes: memoryBytes)
            }
            let path = path(of: record.id)
            let owner = record.lease?.idRange ?? 0
            try Directory.create(path, mode: 0o755)
            if diskBytes == 0 {
                try retrying("chown \(path)") { chown(path, owner, owner) }
                return .directory(path)
            }
            guard uploaded <= diskBytes else {
                throw SystemCallError("the uploads take more than work.diskMax", code: ENOSPC)
            }
            let image = image(of: record.id)
            // What an interrupted attempt left.
            try image.remove()
            try image.create(bytes: diskBytes, owner: owner)
            try image.mount()
            try Directory.removeTree("\(path)/lost+found")
            return .directory(path)
        } catch {
            throw EngineError(.unavailable, "cannot make the work directory: \(error)")
        }
    }

    /// Opens the files that a job left, also after the host was started again; nil where it left none. `release` gives
    /// them back.
    func open(_ job: JobID) async throws(EngineError) -> FileDescriptor? {
        while let task = closing[job] { await task.value }
        let image = image(of: job)
        do throws(SystemCallError) {
            if Directory.exists(image.path) {
                if !image.isMounted { try image.mount() }
            } else if !Directory.exists(image.mountPoint) {
                return nil
            }
            // Nothing unmounts it from here on.
            let directory = try FileDescriptor.openDirectory(image.mountPoint)
            readers[job, default: 0] += 1
            return directory
        } catch {
            throw EngineError(.unavailable, "the work directory cannot be opened: \(error)")
        }
    }

    /// Ends a use that `open` began and whose descriptor is closed.
    func release(_ job: JobID) {
        let left = readers[job, default: 0] - 1
        readers[job] = left > 0 ? left : nil
    }

    /// Unmounts the files that a job left, unless they are open: each would cost the host a device and memory until the
    /// job is deleted. They are on the disk then.
    func close(_ job: JobID) async {
        while let task = closing[job] { await task.value }
        let image = image(of: job)
        guard readers[job] == nil, Directory.exists(image.path), image.isMounted else { return }
        let unmounter = Unmounter()
        let task = Task {
            await unmounter.unmount(image)
            closing[job] = nil
        }
        closing[job] = task
        await task.value
    }

    /// Unmounts what a daemon that was killed left mounted, unless the job is one of `running`.
    func closeAll(except running: Set<JobID>) async {
        for name in (try? Directory.names(in: directory)) ?? [] {
            if let job = JobID(name), !running.contains(job) { await close(job) }
        }
    }

    /// Waits for the disk on a thread of its own, so that no other job's directory does.
    private actor Unmounter {
        private static let threads = BlockingExecutor(count: 2)
        private let thread = Unmounter.threads.thread()

        nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

        func unmount(_ image: WorkImage) { image.unmount() }
    }

    /// Removes a job's work directory; no error where it has none.
    nonisolated func remove(_ job: JobID) async throws(SystemCallError) {
        guard Directory.exists(path(of: job)) || Directory.exists(image(of: job).path) else { return }
        try await removeFromDisk(job)
    }

    private func removeFromDisk(_ job: JobID) async throws(SystemCallError) {
        while let task = closing[job] { await task.value }
        try image(of: job).remove()
        try Directory.removeTree(path(of: job))
    }

    /// The bytes of the files below `path`.
    private static func size(of path: String) throws(SystemCallError) -> UInt64 {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return 0 }
            throw .current("stat \(path)")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return UInt64(status.st_size) }
        var sum: UInt64 = 0
        for name in try Directory.names(in: path) { sum += try size(of: "\(path)/\(name)") }
        return sum
    }
}
