import JobletAPI
import Storage

extension Joblet_JobMetricsSample {
    /// What a sample says; a group of which nothing is known is not set.
    init(_ sample: MetricSample) {
        self.init()
        timestamp = sample.time / 1_000_000_000
        timestampNanoseconds = sample.time
        sequence = sample.sequence
        for point in sample.points where point.labels.isEmpty {
            let values = MetricValues(point.values)
            switch point.type {
            case .cpu: cpu = .init(values)
            case .memory: memory = .init(values)
            case .io: io = .init(values)
            case .process: process = .init(values)
            case .network, .gpu: break
            }
        }
        for point in sample.points where point.type == .io {
            guard let device = point.labels["device"] else { continue }
            io.devices[device] = .init(device, MetricValues(point.values))
        }
    }
}

/// Values by name as the fields of messages have them; 0 where one is not known.
private struct MetricValues {
    private let values: [String: Double]

    init(_ values: [String: Double]) {
        self.values = values
    }

    /// A rate or a share.
    func number(_ name: String) -> Double { values[name] ?? 0 }

    /// A counter or a size.
    func count(_ name: String) -> UInt64 {
        let value = (values[name] ?? 0).rounded()
        return UInt64(exactly: value) ?? (value < 0 ? 0 : .max)
    }
}

extension Joblet_JobCPUMetrics {
    fileprivate init(_ values: MetricValues) {
        self.init()
        usageUsec = values.count("cpu_usage_usec")
        userUsec = values.count("cpu_user_usec")
        systemUsec = values.count("cpu_system_usec")
        nrPeriods = values.count("cpu_nr_periods")
        nrThrottled = values.count("cpu_nr_throttled")
        throttledUsec = values.count("cpu_throttled_usec")
        usagePercent = values.number("cpu_percent")
        throttlePercent = values.number("cpu_throttle_percent")
        userPercent = values.number("cpu_user")
        systemPercent = values.number("cpu_system")
        pressureSome10 = values.number("cpu_pressure_some_avg10")
        pressureSome60 = values.number("cpu_pressure_some_avg60")
        pressureSome300 = values.number("cpu_pressure_some_avg300")
        pressureFull10 = values.number("cpu_pressure_full_avg10")
        pressureFull60 = values.number("cpu_pressure_full_avg60")
        pressureFull300 = values.number("cpu_pressure_full_avg300")
    }
}

extension Joblet_JobMemoryMetrics {
    fileprivate init(_ values: MetricValues) {
        self.init()
        current = values.count("memory_current")
        max = values.count("memory_max")
        usagePercent = values.number("memory_percent")
        anon = values.count("memory_anon")
        file = values.count("memory_file")
        kernelStack = values.count("memory_kernel_stack")
        slab = values.count("memory_slab")
        sock = values.count("memory_sock")
        shmem = values.count("memory_shmem")
        fileMapped = values.count("memory_file_mapped")
        fileDirty = values.count("memory_file_dirty")
        fileWriteback = values.count("memory_file_writeback")
        pgFault = values.count("memory_pgfault")
        pgMajFault = values.count("memory_pgmajfault")
        oomEvents = values.count("memory_oom_events")
        oomKill = values.count("memory_oom_kill")
        peak = values.count("memory_peak")
        vms = values.count("memory_vms")
        pressureSome10 = values.number("memory_pressure_some_avg10")
        pressureSome60 = values.number("memory_pressure_some_avg60")
        pressureSome300 = values.number("memory_pressure_some_avg300")
        pressureFull10 = values.number("memory_pressure_full_avg10")
        pressureFull60 = values.number("memory_pressure_full_avg60")
        pressureFull300 = values.number("memory_pressure_full_avg300")
    }
}

extension Joblet_JobIOMetrics {
    fileprivate init(_ values: MetricValues) {
        self.init()
        totalReadBytes = values.count("io_read_bytes")
        totalWriteBytes = values.count("io_write_bytes")
        totalReadOps = values.count("io_read_ops")
        totalWriteOps = values.count("io_write_ops")
        totalDiscardBytes = values.count("io_discard_bytes")
        totalDiscardOps = values.count("io_discard_ops")
        readBps = values.number("io_read_bps")
        writeBps = values.number("io_write_bps")
        readIops = values.number("io_read_iops")
        writeIops = values.number("io_write_iops")
        pressureSome10 = values.number("io_pressure_some_avg10")
        pressureSome60 = values.number("io_pressure_some_avg60")
        pressureSome300 = values.number("io_pressure_some_avg300")
        pressureFull10 = values.number("io_pressure_full_avg10")
        pressureFull60 = values.number("io_pressure_full_avg60")
        pressureFull300 = values.number("io_pressure_full_avg300")
    }
}

extension Joblet_DeviceIOMetrics {
    fileprivate init(_ name: String, _ values: MetricValues) {
        self.init()
        device = name
        readBytes = values.count("io_read_bytes")
        writeBytes = values.count("io_write_bytes")
        readOps = values.count("io_read_ops")
        writeOps = values.count("io_write_ops")
        discardBytes = values.count("io_discard_bytes")
        discardOps = values.count("io_discard_ops")
    }
}

extension Joblet_JobProcessMetrics {
    fileprivate init(_ values: MetricValues) {
        self.init()
        current = values.count("process_current")
        max = values.count("process_max")
        events = values.count("process_events")
        threads = values.count("process_threads")
        running = values.count("process_running")
        sleeping = values.count("process_sleeping")
        stopped = values.count("process_stopped")
        zombie = values.count("process_zombie")
        openFds = values.count("process_open_fds")
        maxFds = values.count("process_max_fds")
    }
}
