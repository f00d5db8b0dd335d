import Engine
import Foundation
import Server

/// Stores that no other process serves meanwhile: the locks of the data directory and of a worker's socket.
public final class StoreClaim: Sendable {
    private let directory: DataDirectoryLock
    private let sockets: [SocketLock]

    private init(_ directory: DataDirectoryLock, _ sockets: [SocketLock]) {
        self.directory = directory
        self.sockets = sockets
    }

    /// Claims the data directory at `path`, which exists, and what workers serve at `sockets`.
    public static func take(_ path: String, sockets: [String]) async throws -> StoreClaim {
        guard FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure("there is no data directory \(path)")
        }
        do {
            let directory = try DataDirectoryLock(path)
            var locks: [SocketLock] = []
            do {
                for socket in sockets { locks.append(try await SocketLock.take(socket, patience: .zero)) }
            } catch {
                StoreClaim(directory, locks).release()
                throw error
            }
            return StoreClaim(directory, locks)
        } catch let error as EngineError where error.code == .failedPrecondition {
            throw CommandFailure("the stores are in use: \(error); stop it first")
        }
    }

    /// Lets other processes have the stores.
    public func release() {
        for socket in sockets { socket.release() }
        directory.release()
    }
}

/// Why a command could not do what it was told.
public struct CommandFailure: Error, CustomStringConvertible {
    /// The reason, in words for who gave the command.
    public let description: String

    /// A failure with that reason.
    public init(_ description: String) {
        self.description = description
    }
}
