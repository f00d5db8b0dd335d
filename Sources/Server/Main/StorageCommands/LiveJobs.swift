import Foundation
public import Server
public import Storage

/// The jobs that retention must not touch.
public enum LiveJobs {
    /// The jobs whose output or samples are not all stored: those that have a directory in the outbox.
    public static func inOutbox(_ configuration: Server.Configuration) throws -> Set<JobID> {
        let directory = configuration.outboxDirectory
        guard FileManager.default.fileExists(atPath: directory) else { return [] }
        return Set(try FileManager.default.contentsOfDirectory(atPath: directory).compactMap { JobID($0) })
    }

    /// The jobs that have not ended, by their records, and those in the outbox.
    public static func all(_ configuration: Server.Configuration) async throws -> Set<JobID> {
        var live = try inOutbox(configuration)
        // Opening would make a database.
        let isMissing =
            configuration.storage.state.backend == .sqlite
            && !FileManager.default.fileExists(atPath: configuration.stateDatabase)
        if isMissing { return live }
        let jobs = try await StoreFactory(configuration).jobs()
        let query = JobQuery(statuses: Set(JobStatus.allCases.filter { !$0.isTerminal }))
        var cursor: JobCursor?
        repeat {
            let page = try await jobs.list(query, after: cursor, limit: 500)
            live.formUnion(page.records.map(\.id))
            cursor = page.next
        } while cursor != nil
        return live
    }
}
