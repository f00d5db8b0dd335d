import Engine
import GRPCCore
import Storage

/// The one place where failures of the engine and of stores become status codes.
enum Status {
    /// The error that a client gets for `error`.
    static func error(_ error: any Error) -> any Error {
        switch error {
        case let error as EngineError: RPCError(code: code(error.code), message: error.message)
        case let error as StorageError: RPCError(code: code(error), message: error.description, metadata: origin(error))
        default: error
        }
    }

    /// Runs `body`; what it throws becomes an error with a status code.
    static func mapping<Value>(_ body: () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch {
            throw Self.error(error)
        }
    }

    private static func code(_ code: EngineError.Code) -> RPCError.Code {
        switch code {
        case .invalidArgument: .invalidArgument
        case .notFound: .notFound
        case .failedPrecondition: .failedPrecondition
        case .resourceExhausted: .resourceExhausted
        case .unavailable: .unavailable
        case .unimplemented: .unimplemented
        case .internal: .internalError
        }
    }

    /// Tells clients that it is the store that is away, and not the daemon.
    private static func origin(_ error: StorageError) -> Metadata {
        if case .unavailable = error { ["joblet-unavailable": "store"] } else { [:] }
    }

    private static func code(_ error: StorageError) -> RPCError.Code {
        switch error {
        case .notFound: .notFound
        case .gap, .corrupt: .dataLoss
        case .unavailable: .unavailable
        case .quota: .resourceExhausted
        case .refused: .failedPrecondition
        case .cancelled: .cancelled
        }
    }
}
