import Storage

/// The files of a group of the unified hierarchy (cgroup-v2.rst).
final class UnifiedUsage: UsageFiles {
    let processes: ControlFile
    private let cpu: ControlFile
    private let memory: (current: ControlFile, peak: ControlFile, stat: ControlFile, events: ControlFile)
    private let io: ControlFile
    private let pids: (current: ControlFile, events: ControlFile)
    private let pressures: [(MetricType, ControlFile)]
    private let limits: [(MetricType, String, ControlFile)]

    init(_ directory: String) {
        func file(_ name: String) -> ControlFile { ControlFile("\(directory)/\(name)") }
        processes = file("cgroup.procs")
        cpu = file("cpu.stat")
        memory = (file("memory.current"), file("memory.peak"), file("memory.stat"), file("memory.events"))
        io = file("io.stat")
        pids = (file("pids.current"), file("pids.events"))
        pressures = [
            (.cpu, file("cpu.pressure")), (.memory, file("memory.pressure")), (.io, file("io.pressure")),
        ]
        limits = [(.memory, "memory_max", file("memory.max")), (.process, "process_max", file("pids.max"))]
    }

    var all: [ControlFile] {
        [processes, cpu, memory.current, memory.peak, memory.stat, memory.events, io, pids.current, pids.events]
            + pressures.map(\.1) + limits.map(\.2)
    }

    func read(into usage: inout JobUsage) {
        usage.add(
            .cpu, ControlText.keyed(cpu.read()),
            [
                ("usage_usec", "cpu_usage_usec"), ("user_usec", "cpu_user_usec"), ("system_usec", "cpu_system_usec"),
                ("nr_periods", "cpu_nr_periods"), ("nr_throttled", "cpu_nr_throttled"),
                ("throttled_usec", "cpu_throttled_usec"),
            ])
        usage.add(.memory, "memory_current", ControlText.number(memory.current.read()))
        usage.add(.memory, "memory_peak", ControlText.number(memory.peak.read()))
        usage.add(
            .memory, ControlText.keyed(memory.stat.read()),
            [
                ("anon", "memory_rss"), ("anon", "memory_anon"), ("file", "memory_file"),
                ("kernel_stack", "memory_kernel_stack"), ("slab", "memory_slab"), ("sock", "memory_sock"),
                ("shmem", "memory_shmem"), ("file_mapped", "memory_file_mapped"), ("file_dirty", "memory_file_dirty"),
                ("file_writeback", "memory_file_writeback"), ("pgfault", "memory_pgfault"),
                ("pgmajfault", "memory_pgmajfault"),
            ])
        usage.add(
            .memory, ControlText.keyed(memory.events.read()),
            [("oom", "memory_oom_events"), ("oom_kill", "memory_oom_kill")])
        readDevices(into: &usage)
        usage.add(.process, "process_current", ControlText.number(pids.current.read()))
        usage.add(.process, ControlText.keyed(pids.events.read()), [("max", "process_events")])
        for (type, file) in pressures { usage.add(pressure: file, type) }
        for (type, name, file) in limits { usage.add(type, name, ControlText.number(file.read())) }
    }

    private func readDevices(into usage: inout JobUsage) {
        guard let text = io.read() else { return }
        let names = [
            "rbytes": "io_read_bytes", "wbytes": "io_write_bytes", "rios": "io_read_ops", "wios": "io_write_ops",
            "dbytes": "io_discard_bytes", "dios": "io_discard_ops",
        ]
        // A job that did none has an empty file: zeros, which are known.
        for name in names.values { usage[.io, name] = 0 }
        ControlText.nested(text) { device, key, value in
            if let name = names[key], let value = Double(value) { usage.add(device: device, name, value) }
        }
    }
}
