import DaemonSupport
import Foundation
import Glibc
import TestSupport

/// What a daemon at rest has on the host, as lines of text: the same before and after whatever happened to it.
struct Footprint: Sendable, CustomStringConvertible {
    private let lines: Set<String>

    /// What is there now.
    init(_ daemon: DaemonProcess) {
        var lines: Set<String> = []
        let remains = daemon.remains
        for shim in remains.shims {
            // A connection, a pipe or a file too many stays for as long as the supervisor does. User namespaces are
            // kept for the next job with the same ids.
            let open = descriptors(of: shim).map(\.target).filter { !$0.hasPrefix("user:[") }
            for (kind, count) in Dictionary(grouping: open, by: { $0.prefix { $0 != ":" } }).mapValues(\.count) {
                lines.insert("supervisor \(shim) has \(count) \(kind)")
            }
            lines.formUnion(Footprint.mounts(of: "\(shim)", below: daemon.directory.path))
        }
        lines.insert("\(remains.pumps.count) pumps")
        lines.formUnion(remains.groups.map { "control group \($0)" })
        lines.formUnion(remains.jobProcesses.map { "process \($0)" })
        for worker in ["persist", "state"] {
            let pids = daemon.workers(worker)
            lines.insert("\(pids.count) \(worker)")
            let socket = "\(daemon.runDirectory)/\(worker)-ipc.sock"
            let connections = pids.map { UnixConnection.all(of: $0, at: socket).count }
            lines.insert("\(connections) connections of \(worker)")
        }
        lines.formUnion(Footprint.mounts(of: "self", below: daemon.directory.path))
        lines.formUnion(Footprint.files(daemon.runDirectory))
        for folder in names(in: daemon.dataDirectory) {
            lines.insert("\(daemon.dataDirectory)/\(folder)")
            guard ["outbox", "staging", "work"].contains(folder) else { continue }
            lines.formUnion(Footprint.files("\(daemon.dataDirectory)/\(folder)"))
        }
        self.lines = lines
    }

    /// What this has that `other` has not.
    func more(than other: Footprint) -> [String] { lines.subtracting(other.lines).sorted() }

    /// What differs, in both directions.
    func difference(to other: Footprint) -> [String] {
        more(than: other).map { "+ \($0)" } + other.more(than: self).map { "- \($0)" }
    }

    var description: String { lines.sorted().joined(separator: "\n") }

    private static func files(_ directory: String) -> [String] {
        ((try? FileManager.default.subpathsOfDirectory(atPath: directory)) ?? []).map { "\(directory)/\($0)" }
    }

    private static func mounts(of process: String, below directory: String) -> [String] {
        kernelText("/proc/\(process)/mountinfo").split(separator: "\n").filter { $0.contains(directory) }.map {
            "mount \($0)"
        }
    }
}

/// The text of a file that the kernel makes while it is read: it has no size, and comes in pieces.
func kernelText(_ path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { return String(decoding: text, as: UTF8.self) }
        text += buffer[..<count]
    }
}

/// What a process has open, by number.
func descriptors(of pid: Int32) -> [(number: Int32, target: String)] {
    names(in: "/proc/\(pid)/fd").compactMap { name in
        guard let number = Int32(name),
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\(name)")
        else { return nil }
        return (number, target)
    }
}
