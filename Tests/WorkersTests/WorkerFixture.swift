import Storage
import TestSupport

@testable import Server

/// Stores behind a socket, and clients of them; everything ends with `body`.
final class WorkerFixture: Sendable {
    let directory: TemporaryDirectory
    var socket: String { "\(directory.path)/run/worker.sock" }

    init() throws {
        directory = try TemporaryDirectory(name: "joblet-worker")
    }

    /// Offers the stores at the socket.
    func server(
        _ stores: WorkerStores, frameLimit: Int = Frames.defaultLimit, budget: RequestBudget = RequestBudget()
    ) async throws -> WorkerServer {
        try await WorkerServer.start(stores, at: socket, frameLimit: frameLimit, budget: budget)
    }

    /// A client that waits for long, so that a slow machine makes no test fail.
    func client(frameLimit: Int = Frames.defaultLimit, patience: Duration = .seconds(60)) -> WorkerClient {
        WorkerClient(socket: socket, name: "test", frameLimit: frameLimit, patience: patience)
    }

    /// Runs `body` with a client of a server of `stores`.
    static func run(
        _ stores: WorkerStores, frameLimit: Int = Frames.defaultLimit, budget: RequestBudget = RequestBudget(),
        _ body: (WorkerClient) async throws -> Void
    ) async throws {
        let fixture = try WorkerFixture()
        let server = try await fixture.server(stores, frameLimit: frameLimit, budget: budget)
        let client = fixture.client()
        do {
            try await body(client)
        } catch {
            await client.close()
            await server.close()
            throw error
        }
        await client.close()
        await server.close()
    }
}

/// Ends what was opened last first.
actor Opened {
    private var closings: [@Sendable () async -> Void] = []

    func add(_ closing: @escaping @Sendable () async -> Void) { closings.append(closing) }

    func close() async {
        let all = closings
        closings = []
        for closing in all.reversed() { await closing() }
    }
}
