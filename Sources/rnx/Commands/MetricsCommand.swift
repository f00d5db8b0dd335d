import ArgumentParser
import GRPCCore
import JobletAPI

/// `rnx job metrics`.
struct MetricsCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Print what a job used, sample by sample, and follow it until the job ends.",
        discussion: """
            With --json one object a line. Times are RFC 3339, local times such as '2006-01-02 15:04:05', or durations \
            back from now such as 10m. Ctrl-C stops following; the job goes on.
            """)

    @OptionGroup var job: JobArgument

    @Flag(inversion: .prefixedNo, help: "Go on until the job ends.")
    var follow = true

    @Option(parsing: .unconditional, help: "Only samples of this time or later.")
    var from: String?

    @Option(parsing: .unconditional, help: "Only samples of this time or earlier.")
    var to: String?

    @Flag(help: .hidden)
    var summary = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        let since = try PointInTime.nanoseconds(from, option: "--from")
        let until = try PointInTime.nanoseconds(to, option: "--to")
        if until != 0, since > until { throw ValidationError("--from must not be later than --to") }
    }

    func run(_ server: Connection) async throws {
        if summary {
            throw Failure(.server(.unimplemented), "summaries of metrics are not available in this version of rnx")
        }
        var query = SampleQuery(job: job.uuid)
        query.follow = follow
        query.since = try PointInTime.nanoseconds(from, option: "--from")
        query.until = try PointInTime.nanoseconds(to, option: "--to")
        Interrupt.endsMetrics()
        let json = connection.json
        let count = try await server.follow(query) { sample in
            try StandardOutput.write(json ? sample.json.compact + "\n" : sample.text)
        }
        guard count > 0 || from != nil || to != nil else {
            throw Failure(.server(.notFound), "no metrics available for job \(job.uuid.printable)")
        }
    }
}
