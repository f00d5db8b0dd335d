import Backends
import Foundation
import Storage
import StorageConformance

/// A directory of logs whose files a test reads, cuts and damages.
struct LogDirectoryFixture {
    /// The directory of all logs.
    let root: String
    let job = JobID.random()

    static let fileNames = ["index", "stdout.log.gz", "stderr.log.gz"]

    /// Calls `body` with a fixture whose directory is removed afterwards.
    static func with(_ body: (LogDirectoryFixture) async throws -> Void) async throws {
        try await withScratchDirectory { path in try await body(LogDirectoryFixture(root: "\(path)/logs")) }
    }

    func open(_ durability: Durability = .process) throws -> LocalGzipLogStore {
        try LocalGzipLogStore(directory: root, durability: durability)
    }

    func path(_ name: String) -> String { "\(root)/\(job)/\(name)" }

    func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
    }

    /// Replaces a file's content, as a new file.
    func write(_ bytes: some Sequence<UInt8>, to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path(name)), options: .atomic)
    }

    /// All three files.
    func snapshot() throws -> [String: [UInt8]] {
        try Dictionary(uniqueKeysWithValues: Self.fileNames.map { ($0, try bytes($0)) })
    }

    func restore(_ snapshot: [String: [UInt8]]) throws {
        // In one order, since the times of the files count.
        for name in Self.fileNames { if let bytes = snapshot[name] { try write(bytes, to: name) } }
    }

    /// Writes runs as one block each.
    func writeBlocks(_ runs: [FragmentRun]) async throws {
        let store = try open()
        for run in runs {
            try await store.append(run, to: job)
            _ = try await store.sync([job])
        }
    }

    /// What a reader gets until the log ends or its damage does not let it go on.
    func readUntilDamage(_ query: LogQuery? = nil) async throws -> (transcript: Transcript, damage: StorageError?) {
        let store = try open()
        var transcript = Transcript()
        var cursor = LogCursor.start
        do {
            while true {
                let page = try await store.read(query ?? LogQuery(job: job), after: cursor, maxBytes: 97)
                page.forEach { transcript.add($0, $1) }
                if page.isLast { return (transcript, nil) }
                cursor = page.next
            }
        } catch {
            return (transcript, error == .notFound ? nil : error)
        }
    }
}

extension Transcript {
    /// Whether this is the beginning of `other`, whose last fragment here may go on there.
    func isPrefix(of other: Transcript) -> Bool {
        guard var last = fragments.last else { return bytes.isEmpty }
        guard fragments.count <= other.fragments.count else { return false }
        let next = other.fragments[fragments.count - 1]
        if last.count > 0, next.count > last.count { last.content = next.content }
        return fragments.dropLast() + [last] == other.fragments.prefix(fragments.count)
            && bytes.elementsEqual(other.bytes.prefix(bytes.count))
    }
}

/// The output of `zcat`, which fails on anything that is not whole gzip members.
func zcat(_ path: String) throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/zcat")
    process.arguments = [path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let text = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw ZcatFailure(status: process.terminationStatus) }
    return [UInt8](text)
}

/// `zcat` did not like a file.
struct ZcatFailure: Error {
    var status: Int32
}
