import CLinux
import Glibc
import Kernel
import Sandbox

/// Starts a job's first process: pipes, cgroup, clone, and in the child the sandbox.
enum JobStart {
    /// A pipe's kernel buffer: deep enough that a pump's pause never makes a job wait.
    private static let pipeCapacity: Int32 = 1 << 20

    /// Why nothing was started.
    struct Failure: Error {
        let step: String
        let code: Int32
    }

    /// The job that was started; `body` is the body of the frame with its plan.
    static func start(
        _ request: StartRequest, body: [UInt8], userNamespaces: inout UserNamespaces,
        initProgram: FileDescriptor, limits: FileLimit
    ) throws(Failure) -> (job: RunningJob, status: FileDescriptor) {
        var step = "cgroup"
        do throws(SystemCallError) {
            try request.cgroup.create()
            step = "user namespace"
            let namespace: FileDescriptor? =
                if let base = request.idBase { try userNamespaces.namespace(base: base) } else { nil }
            step = "pipes"
            let stdout = try Pipe(capacity: pipeCapacity)
            let stderr = try Pipe(capacity: pipeCapacity)
            let status = try Pipe()
            for pipe in [stdout, stderr, status] { try pipe.readEnd.setNonBlocking() }
            step = "cgroup"
            let place = try CgroupPlace(request.cgroup)
            step = "clone"
            var number: Int32 = -1
            try FailPoint.pass("shim.beforeClone")
            // The child uses the descriptors' numbers, so their owners must live until it has them.
            let pid = try withExtendedLifetime((stdout, stderr, status, namespace, place)) {
                () throws(SystemCallError) in
                let group = place.directory?.number ?? -1
                let pid = try check(joblet_clone3(place.cloneFlags, group, &number), "clone3")
                if pid == 0 {
                    var descriptors = SandboxBuilder.Descriptors(
                        stdout: stdout.writeEnd.number, stderr: stderr.writeEnd.number,
                        status: status.writeEnd.number, initProgram: request.usesInit ? initProgram.number : -1)
                    descriptors.tasks = place.tasks.map(\.number)
                    become(body[request.planRange], namespace?.number ?? -1, descriptors, limits)
                }
                return pid
            }
            try FailPoint.pass("shim.afterClone")
            let job = RunningJob(
                request: request, pid: pid, process: FileDescriptor(owning: number),
                pipes: [stdout.readEnd, stderr.readEnd])
            return (job, status.readEnd)
        } catch {
            _ = request.cgroup.remove()
            throw Failure(step: step, code: error.code)
        }
    }

    /// The child. Single-threaded and a full copy of the shim, so plain Swift is safe here.
    private static func become(
        _ plan: ArraySlice<UInt8>, _ namespace: Int32, _ descriptors: SandboxBuilder.Descriptors, _ limits: FileLimit
    ) -> Never {
        signal(SIGPIPE, SIG_DFL)
        // The daemon's socket and other jobs' pipes must not stay open in a child that a disk holds up here.
        closeAll(
            but: [descriptors.stdout, descriptors.stderr, descriptors.status, descriptors.initProgram, namespace]
                + descriptors.tasks)
        limits.restore()
        do throws(MalformedMessage) {
            var builder = SandboxBuilder(plan: try SandboxPlan(decoding: plan), userNamespace: namespace)
            builder.run(descriptors)
        } catch {
            SandboxBuilder.report("plan (expected \(error.expected))", EINVAL, to: descriptors.status)
        }
    }

    private static func closeAll(but kept: [Int32]) {
        var first: UInt32 = 3
        for number in kept.sorted() where number >= 3 {
            if UInt32(number) > first { joblet_close_range(first, UInt32(number) - 1, 0) }
            first = UInt32(number) + 1
        }
        joblet_close_range(first, UInt32.max, 0)
    }
}

/// How a child gets into its control groups.
private struct CgroupPlace {
    /// The leaf group for CLONE_INTO_CGROUP: unified hierarchy only.
    let directory: FileDescriptor?
    /// `tasks` files the child writes itself to: v1 only.
    let tasks: [FileDescriptor]
    let cloneFlags: UInt64

    init(_ plan: CgroupPlan) throws(SystemCallError) {
        var flags = UInt64(JOBLET_CLONE_NEWPID | JOBLET_CLONE_NEWNS | JOBLET_CLONE_NEWIPC | JOBLET_CLONE_NEWUTS)
        var files: [FileDescriptor] = []
        if plan.isUnified, let first = plan.directories.first {
            directory = try FileDescriptor.openDirectory(first)
            flags |= UInt64(JOBLET_CLONE_NEWCGROUP)
        } else {
            directory = nil
            for path in plan.directories { files.append(try FileDescriptor.open("\(path)/tasks", flags: O_WRONLY)) }
        }
        tasks = files
        cloneFlags = flags
    }
}
