public import Engine
import Storage

extension Configuration {
    /// What the engine needs to know; `shimProgram` is the path of `joblet-shim`.
    public func engine(shimProgram: String) -> EngineConfiguration {
        var engine = EngineConfiguration()
        engine.dataDirectory = dataDirectory
        engine.runDirectory = runDirectory
        engine.outboxDirectory = outboxDirectory
        engine.nodeID = server.nodeID
        engine.shimProgram = shimProgram
        engine.startsDegraded = storage.mode == .workers && storage.startDegraded
        engine.cgroupBase = cgroup.baseDirectory ?? ""
        engine.defaultCPUPercent = Int32(clamping: joblet.defaultCPULimit)
        engine.defaultMemoryMegabytes = Int32(clamping: joblet.defaultMemoryLimit)
        engine.defaultProcesses = Int64(joblet.defaultPIDs)
        engine.maxConcurrentJobs = joblet.maxConcurrentJobs
        engine.defaultTimeout = joblet.jobTimeout.nanoseconds
        engine.stopGrace = joblet.cleanupTimeout.nanoseconds
        engine.allowedMounts = filesystem.allowedMounts
        engine.workspaceDirectory = filesystem.workspaceDirectory
        engine.workMemoryBytes = UInt64(work.memoryMax)
        engine.workDiskBytes = UInt64(work.diskMax)
        engine.workOnDisk = work.onDisk
        engine.temporaryBytes = UInt64(tmp.size)
        engine.firstID = UInt32(clamping: sandbox.idRange.first)
        engine.idRanges = sandbox.idRange.count
        engine.usesUserNamespaces = sandbox.userNamespace
        engine.allowsHostNetwork = sandbox.allowHostNetwork
        engine.defaultNetwork = network.defaultNetwork.rawValue
        engine.durability = storage.durability
        engine.outputPolicy = outbox.onFull
        engine.segmentBytes = UInt64(outbox.segmentBytes)
        engine.maxJobOutboxBytes = UInt64(outbox.maxJobBytes)
        engine.maxNodeOutboxBytes = UInt64(outbox.maxNodeBytes)
        engine.reserveBytes = UInt64(outbox.reserveBytes)
        engine.maxShipAge = storage.maxShipAge.nanoseconds
        engine.metricInterval = metrics.interval.nanoseconds
        engine.maxUploadBytes = Int64(uploads.maxBytes)
        return engine
    }
}
