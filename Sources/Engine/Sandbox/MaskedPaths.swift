/// Parts of /proc that tell about or change the host; names below /proc.
enum MaskedPaths {
    /// Control files: readable, since programs look there, but not writable.
    static func readOnly(forHostRoot isHostRoot: Bool) -> [String] {
        ["asound", "bus", "fs", "irq", "pressure", "sys", "sysrq-trigger"]
            + (isHostRoot ? ["driver", "dynamic_debug", "mtrr", "tty"] : [])
    }

    /// Not even readable: kernel memory, keys, timers of other processes, hardware and LSM state.
    ///
    /// A job with ids of its own is kept from most by their modes: a mount for each would cost it time.
    static func hidden(fromHostRoot isHostRoot: Bool) -> [String] {
        [
            "acpi", "interrupts", "kallsyms", "kcore", "keys", "kmsg", "latency_stats", "modules", "sched_debug",
            "scsi", "timer_list", "timer_stats", "vmallocinfo",
        ]
            + (isHostRoot
                ? ["iomem", "ioports", "kpagecgroup", "kpagecount", "kpageflags", "pagetypeinfo", "slabinfo", "vmcore"]
                : [])
    }
}
