import Engine
import GRPCCore
import JobletAPI
import Storage

/// `joblet.ext.StorageService`: what the node has stored.
struct StorageService: Joblet_Ext_StorageService.SimpleServiceProtocol {
    private static let largestTop: UInt32 = 10_000

    let engine: JobEngine

    func getStorageStats(
        request: Joblet_Ext_GetStorageStatsRequest, context: ServerContext
    ) async throws -> Joblet_Ext_StorageStats {
        guard request.top <= StorageService.largestTop else {
            throw RPCError(code: .invalidArgument, message: "top must be at most \(StorageService.largestTop)")
        }
        let data: StoredData
        do throws(StorageError) {
            data = try await engine.storedData(top: Int(request.top))
        } catch {
            throw Status.error(error)
        }
        return Joblet_Ext_StorageStats(data, node: engine.identity.id)
    }
}

extension Joblet_Ext_StorageStats {
    init(_ data: StoredData, node: String) {
        self.init()
        nodeID = node
        logs = .init(data.logs)
        metrics = .init(data.metrics)
        jobRecords = data.records
        recordsProblem = data.recordsProblem?.description ?? ""
        waitingRecords = data.waitingRecords
        outboxBytes = data.outboxBytes
        outboxLimitBytes = data.outboxLimit
        outboxFreeBytes = data.outboxFreeBytes
        full = data.fullOutboxes.sorted { $0.key < $1.key }.map { job, bytes in
            var message = Joblet_Ext_JobOutbox()
            message.uuid = "\(job)"
            message.bytes = bytes
            return message
        }
        largest = data.largest.map { job in
            var message = Joblet_Ext_JobStorage()
            message.uuid = "\(job.id)"
            message.logBytes = job.logBytes
            message.lines = job.lines
            message.samples = job.samples
            message.storedBytes = job.storedBytes
            return message
        }
    }
}

extension Joblet_Ext_StoreStats {
    init(_ store: StoredData.Store) {
        self.init()
        jobs = store.jobs
        bytes = store.bytes
        entries = store.entries
        storedBytes = store.storedBytes
        oldest = store.oldest ?? 0
        damagedJobs = store.damagedJobs
        problem = store.problem?.description ?? ""
    }
}
