import JobletAPI

extension Joblet_JobMetricsSample {
    /// Unix nanoseconds, from the seconds of a server that sends no more.
    private var nanoseconds: Int64 { timestampNanoseconds != 0 ? timestampNanoseconds : timestamp * 1_000_000_000 }

    /// A block of lines; groups that the server does not know are left out.
    var text: String {
        var text = "Timestamp: \(TimeText.rfc3339Seconds(nanoseconds))\n"
        var parts: [String] = []
        if hasCpu { parts.append("CPU: \(QuantityText.percent(cpu.usagePercent))") }
        if hasMemory { parts.append("Memory: \(QuantityText.bytes(Double(memory.current)))") }
        if hasIo {
            parts.append("I/O Read: \(QuantityText.bytes(io.readBps))/s")
            parts.append("I/O Write: \(QuantityText.bytes(io.writeBps))/s")
        }
        if !parts.isEmpty { text += parts.joined(separator: ", ") + "\n" }
        if hasNetwork {
            text += "Network RX: \(QuantityText.bytes(network.rxBps))/s, "
            text += "Network TX: \(QuantityText.bytes(network.txBps))/s\n"
        }
        var details: [String] = []
        if hasProcess { details.append("Processes: \(process.current), Threads: \(process.threads)") }
        if hasMemory, memory.peak > 0 { details.append("Memory Peak: \(QuantityText.bytes(Double(memory.peak)))") }
        if !details.isEmpty { text += details.joined(separator: ", ") + "\n" }
        return text
    }

    /// The message with its own names; zeros stay, groups that the server does not know are left out.
    var json: JSON {
        var object = JSONObject()
        object.set("jobId", .string(jobID))
        object.set("timestamp", .integer(timestamp))
        if timestampNanoseconds != 0 { object.set("timestampNanoseconds", .integer(timestampNanoseconds)) }
        object.set("sequence", .integer(sequence))
        object.set("sampleIntervalSeconds", .integer(sampleIntervalSeconds))
        if hasCpu { object.set("cpu", cpu.json) }
        if hasMemory { object.set("memory", memory.json) }
        if hasIo { object.set("io", io.json) }
        if hasNetwork { object.set("network", network.json) }
        if hasProcess { object.set("process", process.json) }
        object.set("gpu", .array(gpu.map(\.json)))
        object.set("cgroupPath", .string(cgroupPath))
        object.set(
            "limits",
            .object([
                ("cpu", .integer(limits.cpu)), ("memory", .integer(limits.memory)), ("io", .integer(limits.io)),
            ]))
        object.set("gpuAllocation", .array(gpuAllocation.map { .integer($0) }))
        return object.json
    }
}

extension Joblet_JobCPUMetrics {
    fileprivate var json: JSON {
        .object([
            ("usageUsec", .integer(usageUsec)), ("userUsec", .integer(userUsec)), ("systemUsec", .integer(systemUsec)),
            ("nrPeriods", .integer(nrPeriods)), ("nrThrottled", .integer(nrThrottled)),
            ("throttledUsec", .integer(throttledUsec)), ("usagePercent", .number(usagePercent)),
            ("throttlePercent", .number(throttlePercent)), ("userPercent", .number(userPercent)),
            ("systemPercent", .number(systemPercent)), ("pressureSome10", .number(pressureSome10)),
            ("pressureSome60", .number(pressureSome60)), ("pressureSome300", .number(pressureSome300)),
            ("pressureFull10", .number(pressureFull10)), ("pressureFull60", .number(pressureFull60)),
            ("pressureFull300", .number(pressureFull300)),
        ])
    }
}

extension Joblet_JobMemoryMetrics {
    fileprivate var json: JSON {
        .object([
            ("current", .integer(current)), ("max", .integer(max)), ("peak", .integer(peak)),
            ("usagePercent", .number(usagePercent)), ("anon", .integer(anon)), ("file", .integer(file)),
            ("kernelStack", .integer(kernelStack)), ("slab", .integer(slab)), ("sock", .integer(sock)),
            ("shmem", .integer(shmem)), ("fileMapped", .integer(fileMapped)), ("fileDirty", .integer(fileDirty)),
            ("fileWriteback", .integer(fileWriteback)), ("vms", .integer(vms)), ("pgFault", .integer(pgFault)),
            ("pgMajFault", .integer(pgMajFault)), ("oomEvents", .integer(oomEvents)), ("oomKill", .integer(oomKill)),
            ("pressureSome10", .number(pressureSome10)), ("pressureSome60", .number(pressureSome60)),
            ("pressureSome300", .number(pressureSome300)), ("pressureFull10", .number(pressureFull10)),
            ("pressureFull60", .number(pressureFull60)), ("pressureFull300", .number(pressureFull300)),
        ])
    }
}

extension Joblet_JobIOMetrics {
    fileprivate var json: JSON {
        .object([
            ("devices", .object(devices.sorted { $0.key < $1.key }.map { ($0.key, $0.value.json) })),
            ("totalReadBytes", .integer(totalReadBytes)), ("totalWriteBytes", .integer(totalWriteBytes)),
            ("totalReadOps", .integer(totalReadOps)), ("totalWriteOps", .integer(totalWriteOps)),
            ("totalDiscardBytes", .integer(totalDiscardBytes)), ("totalDiscardOps", .integer(totalDiscardOps)),
            ("readBPS", .number(readBps)), ("writeBPS", .number(writeBps)), ("readIOPS", .number(readIops)),
            ("writeIOPS", .number(writeIops)), ("pressureSome10", .number(pressureSome10)),
            ("pressureSome60", .number(pressureSome60)), ("pressureSome300", .number(pressureSome300)),
            ("pressureFull10", .number(pressureFull10)), ("pressureFull60", .number(pressureFull60)),
            ("pressureFull300", .number(pressureFull300)),
        ])
    }
}

extension Joblet_DeviceIOMetrics {
    fileprivate var json: JSON {
        .object([
            ("device", .string(device)), ("readBytes", .integer(readBytes)), ("writeBytes", .integer(writeBytes)),
            ("readOps", .integer(readOps)), ("writeOps", .integer(writeOps)), ("discardBytes", .integer(discardBytes)),
            ("discardOps", .integer(discardOps)),
        ])
    }
}

extension Joblet_JobNetworkMetrics {
    fileprivate var json: JSON {
        .object([
            ("totalRxBytes", .integer(totalRxBytes)), ("totalTxBytes", .integer(totalTxBytes)),
            ("totalRxPackets", .integer(totalRxPackets)), ("totalTxPackets", .integer(totalTxPackets)),
            ("totalRxErrors", .integer(totalRxErrors)), ("totalTxErrors", .integer(totalTxErrors)),
            ("totalRxDropped", .integer(totalRxDropped)), ("totalTxDropped", .integer(totalTxDropped)),
            ("rxBPS", .number(rxBps)), ("txBPS", .number(txBps)),
        ])
    }
}

extension Joblet_JobProcessMetrics {
    fileprivate var json: JSON {
        .object([
            ("current", .integer(current)), ("max", .integer(max)), ("events", .integer(events)),
            ("threads", .integer(threads)), ("running", .integer(running)), ("sleeping", .integer(sleeping)),
            ("stopped", .integer(stopped)), ("zombie", .integer(zombie)), ("openFDs", .integer(openFds)),
            ("maxFDs", .integer(maxFds)),
        ])
    }
}

extension Joblet_JobGPUMetrics {
    fileprivate var json: JSON {
        .object([
            ("index", .integer(index)), ("uuid", .string(uuid)), ("name", .string(name)),
            ("utilization", .number(utilization)), ("memoryUsed", .integer(memoryUsed)),
            ("memoryTotal", .integer(memoryTotal)), ("temperature", .number(temperature)),
            ("powerDraw", .number(powerDraw)),
        ])
    }
}

/// Quantities as people read them.
enum QuantityText {
    /// `45.2%`.
    static func percent(_ value: Double) -> String { tenths(value) + "%" }

    /// `256MB`, `1.2MB`, `0B`, of 1024 bytes a step.
    static func bytes(_ value: Double) -> String {
        var value = Swift.max(0, value)
        for unit in ["B", "KB", "MB", "GB"] {
            // What would be rounded to a thousand and more is said in the next unit.
            if value < 1023.95 { return tenths(unit == "B" ? value.rounded() : value) + unit }
            value /= 1024
        }
        return tenths(value) + "TB"
    }

    /// One digit behind the point, none where it is zero.
    private static func tenths(_ value: Double) -> String {
        guard let tenths = Int64(exactly: (value * 10).rounded()) else { return "\(value)" }
        let sign = tenths < 0 ? "-" : ""
        let fraction = tenths.magnitude % 10
        return "\(sign)\(tenths.magnitude / 10)" + (fraction == 0 ? "" : ".\(fraction)")
    }
}
