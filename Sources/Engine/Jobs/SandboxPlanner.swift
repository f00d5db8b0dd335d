import Glibc
import Kernel
import Sandbox
import Storage

/// Turns a job's record into the plan that the shim obeys.
struct SandboxPlanner: Sendable {
    let configuration: EngineConfiguration
    let key: SecretKey
    /// The compiled default seccomp profile.
    let seccomp: [UInt8]
    /// The prepared `/etc`.
    let etcDirectory: String
    /// Whether host files can appear with the job's ids.
    let mapsFileOwners: Bool

    /// Where a job's kept work lies.
    func workDirectory(of job: JobID) -> String { "\(configuration.dataDirectory)/work/\(job)" }

    /// The plan of a job whose children mount their roots at `rootMount`.
    func plan(for record: JobRecord, rootMount: String, staging: String?) throws(EngineError) -> SandboxPlan {
        let specification = record.specification
        var plan = SandboxPlan()
        plan.rootMount = rootMount
        plan.hostname = "job-\(record.id.short)"
        plan.arguments = [specification.command] + specification.arguments
        plan.environment = try environment(of: record)
        plan.workDirectory = specification.workDirectory
        mountHostFiles(&plan)
        plan.idBase = record.lease?.idRange
        plan.mapsFileOwners = mapsFileOwners && plan.idBase != nil
        if specification.keepsWork || configuration.workOnDisk {
            plan.work = .directory(try makeWorkDirectory(of: record))
        } else {
            plan.work = .memory(bytes: configuration.workMemoryBytes)
        }
        plan.temporaryBytes = configuration.temporaryBytes
        plan.staging = staging ?? ""
        plan.isolatesNetwork = specification.network != "host"
        plan.capabilities = Capabilities.default(hasOwnNetwork: plan.isolatesNetwork).rawValue
        plan.seccomp = seccomp
        plan.resourceLimits = ResourceLimits.defaults()
        plan.usesInit = specification.usesInit
        return plan
    }

    private func environment(of record: JobRecord) throws(EngineError) -> [String] {
        var variables = [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": configuration.workspaceDirectory,
            "HOSTNAME": "job-\(record.id.short)",
            "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",
            "JOBLET_JOB_ID": "\(record.id)",
        ]
        variables.merge(record.specification.environment) { $1 }
        for (name, sealed) in record.specification.secretEnvironment {
            variables[name] = try key.open(sealed, context: "\(record.id)/\(name)")
        }
        return variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }

    /// The allowed host paths: directories and files as read-only binds, links as links.
    private func mountHostFiles(_ plan: inout SandboxPlan) {
        for path in configuration.allowedMounts where path != "/etc" && !path.hasPrefix("/etc/") {
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFLNK {
                var buffer = [CChar](repeating: 0, count: 4096)
                let count = readlink(path, &buffer, buffer.count - 1)
                guard count > 0 else { continue }
                let destination = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                plan.links.append(.init(destination: destination, path: path))
            } else if !plan.binds.contains(where: { path.hasPrefix("\($0.target)/") }) {
                plan.binds.append(.init(source: path, target: path))
            }
        }
        plan.binds.append(.init(source: etcDirectory, target: "/etc"))
    }

    private func makeWorkDirectory(of record: JobRecord) throws(EngineError) -> String {
        let path = workDirectory(of: record.id)
        let owner = record.lease?.idRange ?? 0
        do throws(SystemCallError) {
            try Directory.create(path, mode: 0o755)
            try retrying("chown \(path)") { chown(path, owner, owner) }
        } catch {
            throw EngineError(.unavailable, "cannot make the work directory: \(error)")
        }
        return path
    }
}
