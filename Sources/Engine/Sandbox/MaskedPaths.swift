/// Parts of /proc that tell about or change the host; names below /proc.
enum MaskedPaths {
    /// Control files: readable, since programs look there, but not writable.
    static let readOnly = ["asound", "bus", "fs", "irq", "sys", "sysrq-trigger"]

    /// Not even readable: kernel memory, keys, timers of other processes, hardware and LSM state.
    static let hidden = [
        "acpi", "interrupts", "kallsyms", "kcore", "keys", "kmsg", "latency_stats", "modules", "sched_debug",
        "scsi", "timer_list", "timer_stats", "vmallocinfo",
    ]
}
