import NIOCore
import Synchronization

/// The connections of a server, to end them with it.
final class OpenConnections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Keeps a connection until it ends; ends it at once where the server has ended.
    func add(_ channel: any Channel) {
        let key = ObjectIdentifier(channel)
        let isClosed = state.withLock { state in
            if !state.isClosed { state.channels[key] = channel }
            return state.isClosed
        }
        channel.closeFuture.whenComplete { _ in self.state.withLock { $0.channels[key] = nil } }
        if isClosed { channel.close(promise: nil) }
    }

    /// Ends every connection and waits until all have ended.
    func close() async {
        let channels = state.withLock { state in
            state.isClosed = true
            return Array(state.channels.values)
        }
        for channel in channels {
            channel.close(promise: nil)
            // Succeeds however the connection ends.
            _ = try? await channel.closeFuture.get()
        }
    }
}
