import Glibc
import Storage

/// The files of a group a controller (cgroup-v1).
///
/// There is no pressure, and input and output are those that the job's own processes waited for: what the kernel
/// writes back later is counted for nobody.
final class LegacyUsage: UsageFiles {
    /// At and above this the kernel means that there is no limit.
    private static let unlimited: UInt64 = 1 << 62

    let processes: ControlFile
    private let cpu: (usage: ControlFile, user: ControlFile, system: ControlFile, stat: ControlFile)
    private let memory: (current: ControlFile, peak: ControlFile, limit: ControlFile, stat: ControlFile)
    private let outOfMemory: ControlFile
    private let sockets: ControlFile
    private let io: (bytes: ControlFile, operations: ControlFile)
    private let pids: (current: ControlFile, limit: ControlFile, events: ControlFile)

    init(_ directories: [String: String]) {
        // A path that does not exist stands for a controller that the host does not have.
        func file(_ controller: String, _ name: String) -> ControlFile {
            ControlFile("\(directories[controller] ?? "/proc/self/no-\(controller)")/\(name)")
        }
        let home = ["pids", "memory", "cpu", "cpuacct", "blkio"].first { directories[$0] != nil } ?? "pids"
        processes = file(home, "cgroup.procs")
        cpu = (
            file("cpuacct", "cpuacct.usage"), file("cpuacct", "cpuacct.usage_user"),
            file("cpuacct", "cpuacct.usage_sys"), file("cpu", "cpu.stat")
        )
        memory = (
            file("memory", "memory.usage_in_bytes"), file("memory", "memory.max_usage_in_bytes"),
            file("memory", "memory.limit_in_bytes"), file("memory", "memory.stat")
        )
        outOfMemory = file("memory", "memory.oom_control")
        sockets = file("memory", "memory.kmem.tcp.usage_in_bytes")
        io = (
            file("blkio", "blkio.throttle.io_service_bytes_recursive"),
            file("blkio", "blkio.throttle.io_serviced_recursive")
        )
        pids = (file("pids", "pids.current"), file("pids", "pids.max"), file("pids", "pids.events"))
    }

    var all: [ControlFile] {
        [
            processes, cpu.usage, cpu.user, cpu.system, cpu.stat, memory.current, memory.peak, memory.limit,
            memory.stat,
            outOfMemory, sockets, io.bytes, io.operations, pids.current, pids.limit, pids.events,
        ]
    }

    func read(into usage: inout JobUsage) {
        // The list of processes is that of the first look for as long as the file stays open and is read often.
        processes.close()
        usage.add(.cpu, "cpu_usage_usec", ControlText.number(cpu.usage.read()), scale: 1e-3)
        usage.add(.cpu, "cpu_user_usec", ControlText.number(cpu.user.read()), scale: 1e-3)
        usage.add(.cpu, "cpu_system_usec", ControlText.number(cpu.system.read()), scale: 1e-3)
        let throttling = ControlText.keyed(cpu.stat.read())
        usage.add(
            .cpu, throttling, [("nr_periods", "cpu_nr_periods"), ("nr_throttled", "cpu_nr_throttled")])
        usage.add(.cpu, throttling, [("throttled_time", "cpu_throttled_usec")], scale: 1e-3)
        readMemory(into: &usage)
        readDevices(io.bytes, "bytes", into: &usage)
        readDevices(io.operations, "ops", into: &usage)
        usage.add(.process, "process_current", ControlText.number(pids.current.read()))
        usage.add(.process, "process_max", ControlText.number(pids.limit.read()))
        usage.add(.process, ControlText.keyed(pids.events.read()), [("max", "process_events")])
    }

    private func readMemory(into usage: inout JobUsage) {
        usage.add(.memory, "memory_current", ControlText.number(memory.current.read()))
        usage.add(.memory, "memory_peak", ControlText.number(memory.peak.read()))
        let limit = ControlText.number(memory.limit.read())
        usage.add(.memory, "memory_max", limit.flatMap { $0 < LegacyUsage.unlimited ? $0 : nil })
        usage.add(
            .memory, ControlText.keyed(memory.stat.read()),
            [
                ("total_rss", "memory_rss"), ("total_rss", "memory_anon"), ("total_cache", "memory_file"),
                ("total_shmem", "memory_shmem"), ("total_mapped_file", "memory_file_mapped"),
                ("total_dirty", "memory_file_dirty"), ("total_writeback", "memory_file_writeback"),
                ("total_pgfault", "memory_pgfault"), ("total_pgmajfault", "memory_pgmajfault"),
            ])
        usage.add(.memory, ControlText.keyed(outOfMemory.read()), [("oom_kill", "memory_oom_kill")])
        usage.add(.memory, "memory_sock", ControlText.number(sockets.read()))
    }

    /// Lines of a device, the kind of operation and a number; those of all devices together are left out.
    private func readDevices(_ file: ControlFile, _ unit: String, into usage: inout JobUsage) {
        guard let text = file.read() else { return }
        let names = ["Read": "io_read_\(unit)", "Write": "io_write_\(unit)", "Discard": "io_discard_\(unit)"]
        for name in names.values { usage[.io, name] = 0 }
        for fields in ControlText.lines(text) where fields.count == 3 {
            if let name = names[ControlText.text(fields[1])], let value = Double(ControlText.text(fields[2])) {
                usage.add(device: ControlText.text(fields[0]), name, value)
            }
        }
    }
}
