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
    /// The copy of `/etc` that jobs see.
    let etc: PreparedEtc
    /// What of the host every job sees, the prepared `/etc` included.
    let hostFiles: (binds: [SandboxPlan.Bind], links: [SandboxPlan.Link])
    /// The host paths whose file systems can show their files with a job's ids.
    let idmappable: Set<String>
    /// Read once: they follow from the daemon's own limits and rights.
    let resourceLimits = ResourceLimits.defaults()

    /// The plan of a job whose children mount their roots at `rootMount`.
    func plan(
        for record: JobRecord, rootMount: String, work: SandboxPlan.Work, staging: String?
    ) throws(EngineError) -> SandboxPlan {
        let specification = record.specification
        var plan = SandboxPlan()
        plan.rootMount = rootMount
        plan.hostname = "job-\(record.id.short)"
        plan.arguments = [specification.command] + specification.arguments
        plan.environment = try environment(of: record)
        plan.workDirectory = specification.workDirectory
        plan.workMount = configuration.workspaceDirectory
        (plan.binds, plan.links) = hostFiles
        plan.idBase = record.lease?.idRange
        plan.mapsFileOwners = plan.idBase != nil && plan.binds.allSatisfy { idmappable.contains($0.source) }
        plan.work = work
        plan.temporaryBytes = configuration.temporaryBytes
        plan.staging = staging ?? ""
        plan.isolatesNetwork = specification.network != "host"
        plan.capabilities = Capabilities.default(hasOwnNetwork: plan.isolatesNetwork).rawValue
        plan.seccomp = seccomp
        plan.resourceLimits = resourceLimits
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
}
