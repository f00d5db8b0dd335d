import GRPCCore
import JobletSecurity

/// What ends a command: the line after `Error:`, and the code that `--json` shows with it.
struct Failure: Error, Equatable {
    /// Where a failure comes from, as far as the exit code and the JSON code depend on it.
    enum Kind: Equatable {
        /// The command line is wrong; exit code 2.
        case usage
        /// Files or settings on this side are wrong.
        case local
        /// No connection to the server came about.
        case unreachable
        /// A certificate or key cannot serve.
        case certificate
        /// The server refused or failed.
        case server(RPCError.Code)
    }

    let kind: Kind
    let message: String

    init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// 2 for a wrong command line, else 1.
    var exitCode: Int32 { kind == .usage ? 2 : 1 }

    /// The name of the gRPC status that fits.
    var code: String {
        switch kind {
        case .usage: "INVALID_ARGUMENT"
        case .local: "FAILED_PRECONDITION"
        case .unreachable: "UNAVAILABLE"
        case .certificate: "UNAUTHENTICATED"
        case .server(let code): code.wireName
        }
    }

    /// The message in one line, without bytes that would steer a terminal.
    var line: String { "Error: " + message.split(whereSeparator: \.isNewline).joined(separator: " ").printable }

    /// What `--json` prints.
    var json: JSON {
        .object([("code", .string(code)), ("message", .string(message)), ("details", .array([]))])
    }

    /// Prints the failure and returns the exit code: the line on standard error, with JSON also the object on
    /// standard output.
    func report(asJSON: Bool) -> Int32 {
        StandardError.write(line)
        if asJSON {
            do {
                try StandardOutput.write(json.pretty + "\n")
            } catch {
                return exitCode
            }
        }
        return exitCode
    }
}

extension Failure {
    /// A certificate, key or file that cannot serve, in the words that OpenSSL users know.
    init(_ error: SecurityError) {
        switch error {
        case .expired, .notYetValid, .otherAuthority, .keyMismatch, .wrongUse, .wrongServerName:
            self.init(.certificate, "certificate verify failed: \(error)")
        case .missing(let path):
            self.init(.certificate, "certificate file missing: \(path)")
        case .malformed, .system, .exists, .unsafeDirectory, .notIssuable:
            self.init(.certificate, error.description)
        }
    }
}

extension RPCError.Code {
    /// The name in the gRPC specification, `NOT_FOUND`.
    var wireName: String {
        switch self {
        case .cancelled: "CANCELED"
        case .invalidArgument: "INVALID_ARGUMENT"
        case .deadlineExceeded: "DEADLINE_EXCEEDED"
        case .notFound: "NOT_FOUND"
        case .alreadyExists: "ALREADY_EXISTS"
        case .permissionDenied: "PERMISSION_DENIED"
        case .resourceExhausted: "RESOURCE_EXHAUSTED"
        case .failedPrecondition: "FAILED_PRECONDITION"
        case .aborted: "ABORTED"
        case .outOfRange: "OUT_OF_RANGE"
        case .unimplemented: "UNIMPLEMENTED"
        case .internalError: "INTERNAL"
        case .unavailable: "UNAVAILABLE"
        case .dataLoss: "DATA_LOSS"
        case .unauthenticated: "UNAUTHENTICATED"
        default: "UNKNOWN"
        }
    }
}
