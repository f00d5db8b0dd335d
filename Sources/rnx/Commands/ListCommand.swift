import ArgumentParser
import JobletAPI

/// `rnx job list`.
struct ListCommand: ServerCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the jobs.")

    @Option(help: "Only jobs in this state, such as running; several with commas.")
    var status: String?

    @Option(help: "At most so many jobs, in the order of the server.")
    var limit: Int?

    @Flag(help: "Accepted for scripts: ended jobs are always listed.")
    var includeCompleted = false

    @OptionGroup var workflow: WorkflowOption

    @Flag(help: "A table with names and nodes.")
    var wide = false

    @OptionGroup var connection: ConnectionOptions

    private static let states: Set = [
        "PENDING", "SCHEDULED", "INITIALIZING", "RUNNING", "COMPLETED", "FAILED", "STOPPED", "CANCELED",
    ]

    func validate() throws {
        if let unknown = wanted?.first(where: { !Self.states.contains($0) }) {
            throw ValidationError(
                "--status: no job is ever \(unknown.printable); use \(Self.states.sorted().joined(separator: ", "))")
        }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
    }

    func run(_ server: Connection) async throws {
        try workflow.refuse()
        let reply = try await server.jobs.listJobs(Joblet_EmptyRequest(), options: Connection.answering(within: 10))
        let jobs = selected(reply.jobs)
        let list = JobList(jobs, Palette(.process))
        try show(list.json, wide ? list.table : list.lines)
    }

    /// The jobs that the options ask for.
    func selected(_ jobs: [Joblet_Job]) -> [Joblet_Job] {
        let matching = jobs.filter { wanted?.contains($0.status) ?? true }
        return Array(matching.prefix(limit ?? .max))
    }

    /// The states that `--status` names; nil for all.
    private var wanted: [String]? {
        status.map { $0.uppercased().split(separator: ",").map(String.init) }
    }
}
