import ArgumentParser
import GRPCCore
import JobletAPI

/// `rnx job log`.
struct LogCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Print the output of a job, and follow it until the job ends.",
        discussion: """
            Times are RFC 3339, local times such as '2006-01-02 15:04:05', or durations back from now such as 10m. \
            Ctrl-C stops following; the job goes on.
            """)

    enum Stream: String, ExpressibleByArgument, CaseIterable {
        case stdout
        case stderr
    }

    @OptionGroup var job: JobArgument

    @Flag(inversion: .prefixedNo, help: "Go on until the job ends.")
    var follow = true

    @Option(help: "Only this stream; may be given for both.")
    var stream: [Stream] = []

    @Option(parsing: .unconditional, help: "Only output written at this time or later.")
    var since: String?

    @Option(parsing: .unconditional, help: "Only output written at this time or earlier.")
    var until: String?

    @Option(
        name: [.customLong("tail"), .customLong("lines")], parsing: .unconditional,
        help: ArgumentHelp("Begin with the last lines.", valueName: "n"))
    var tail: Int32?

    @Option(parsing: .unconditional, help: "Only lines that contain this text.")
    var grep: String?

    @Flag(help: "Put the time in front of every line; of more than 1 MiB in pieces.")
    var timestamps = false

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        if let tail, tail < 1 { throw ValidationError("--tail must be at least 1") }
        let first = try PointInTime.nanoseconds(since, option: "--since")
        let last = try PointInTime.nanoseconds(until, option: "--until")
        if last != 0, first > last { throw ValidationError("--since must not be later than --until") }
    }

    func run(_ server: Connection) async throws {
        var query = LogQuery(job: job.uuid)
        query.follow = follow
        query.streams = stream.map(\.rawValue)
        query.since = try PointInTime.nanoseconds(since, option: "--since")
        query.until = try PointInTime.nanoseconds(until, option: "--until")
        query.tail = tail ?? 0
        query.grep = grep ?? ""
        Interrupt.endsFollowing(isWaiting: false)
        if !connection.json {
            do {
                query.job = try await server.status(of: job.uuid).uuid
                // Said of a job that exists, by its whole id.
                StandardError.write("Logs for job \(query.job.printable) (Press Ctrl+C to exit if streaming):")
            } catch let error as RPCError where error.code == .notFound {
                // Imported output has no record; where there is none, the log says so too.
            }
        }
        let sink = LogSink(connection.json ? .json : timestamps ? .timestamps : .raw)
        try await server.follow(query, sink)
        try sink.finish()
    }
}
