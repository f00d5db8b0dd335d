import Foundation
import Glibc
import Synchronization

/// How old lines are when they arrive that hold the time at which they were written.
final class Delays: Sendable {
    private struct State {
        var values: [Double] = []
        var rest = Data()
    }

    private let state = Mutex(State())

    /// Milliseconds, in the order of arrival.
    var values: [Double] { state.withLock { $0.values } }

    func note(_ payload: Data) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let arrival = Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
        state.withLock { state in
            state.rest += payload
            while let end = state.rest.firstIndex(of: UInt8(ascii: "\n")) {
                if let time = Int64(String(decoding: state.rest[..<end], as: UTF8.self)) {
                    state.values.append(Double(arrival - time) / 1e6)
                }
                state.rest = Data(state.rest[state.rest.index(after: end)...])
            }
        }
    }

    /// Notes what a program writes into a pipe.
    func note(outputOf program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        while case let data = pipe.fileHandleForReading.availableData, !data.isEmpty { note(data) }
        process.waitUntilExit()
    }
}
