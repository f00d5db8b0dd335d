public import Storage

/// Why the engine did not do what it was asked, in a form that a server turns into a status code.
public struct EngineError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: Sendable, Hashable {
        /// The request makes no sense, whatever the state.
        case invalidArgument
        /// No job has that id.
        case notFound
        /// The state does not allow it now: not running, a limit this host cannot enforce.
        case failedPrecondition
        /// A configured limit is reached.
        case resourceExhausted
        /// Something needed is away; the same request may succeed later.
        case unavailable
        /// The feature does not exist here.
        case unimplemented
        /// A failure of the host or the program.
        case `internal`
    }

    /// The kind of failure.
    public let code: Code
    /// A sentence for the user.
    public let message: String

    /// A failure of that kind.
    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { message }

    /// Several jobs have ids that begin with `prefix`; ten are named.
    public static func ambiguous(_ prefix: JobIDPrefix, _ jobs: some Collection<JobID>) -> EngineError {
        let names = jobs.sorted().prefix(10).map(\.description).joined(separator: ", ")
        return EngineError(
            .invalidArgument, "job id \(prefix) is ambiguous: \(names)\(jobs.count > 10 ? ", …" : "")")
    }
}
