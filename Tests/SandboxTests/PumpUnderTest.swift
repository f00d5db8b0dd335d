import CLinux
import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport

import class Foundation.Thread

/// A real pump without a shim: the test holds its control socket and its jobs' pipes.
final class PumpUnderTest {
    let root: String
    let pid: pid_t
    private let directory: TemporaryDirectory
    private var control: FileDescriptor?

    /// Starts a pump; `failPoint` arms a place in it.
    init(failPoint: String? = nil, root: String? = nil) throws {
        directory = try TemporaryDirectory()
        self.root = root ?? directory.path
        var ends: [Int32] = [-1, -1]
        try check(joblet_packet_pair(&ends), "socketpair")
        control = FileDescriptor(owning: ends[0])
        let theirs = FileDescriptor(owning: ends[1])
        let environment = ["PATH=/usr/bin:/bin"] + (failPoint.map { ["JOBLET_FAILPOINT=\($0)"] } ?? [])
        pid = try spawn(
            [Products.path("joblet-shim"), "pump"], environment: environment, descriptors: [(theirs.number, 3)])
    }

    deinit {
        control = nil
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }

    // MARK: Messages, written as the protocol says

    func add(_ job: OutboxJob, _ plan: OutputPlan, _ stdout: FileDescriptor, _ stderr: FileDescriptor) throws {
        var writer = ByteWriter()
        writer.write(UInt8(1))
        write(job, to: &writer)
        writer.write(plan.root)
        writer.write(plan.segmentBytes)
        writer.write(plan.jobBytes)
        writer.write(plan.dropsAtLimit)
        writer.write(false)
        try send(writer.bytes, [stdout.number, stderr.number])
    }

    func finish(_ job: OutboxJob) throws { try send(2, job) }
    func released(_ job: OutboxJob) throws { try send(3, job) }

    func configure(nodeBytes: UInt64, reserveBytes: UInt64 = 0) throws {
        var writer = ByteWriter()
        writer.write(UInt8(4))
        writer.write(root)
        writer.write(nodeBytes)
        writer.write(reserveBytes)
        try send(writer.bytes)
    }

    func send(_ packet: [UInt8], _ files: [Int32] = []) throws {
        guard let control else { throw SystemCallError("send", code: ENOTCONN) }
        try check(
            joblet_send_with_fds(control.number, packet, UInt64(packet.count), files, Int32(files.count)), "send")
    }

    private func send(_ kind: UInt8, _ job: OutboxJob) throws {
        var writer = ByteWriter()
        writer.write(kind)
        write(job, to: &writer)
        try send(writer.bytes)
    }

    private func write(_ job: OutboxJob, to writer: inout ByteWriter) {
        writer.write(job.high)
        writer.write(job.low)
    }

    /// Waits for a log to be complete: the job and the position of its end.
    func nextDrained(seconds: Int32 = 90) throws -> (job: OutboxJob, position: UInt64) {
        guard let control else { throw SystemCallError("receive", code: ENOTCONN) }
        var waiting = pollfd(fd: control.number, events: Int16(POLLIN), revents: 0)
        guard poll(&waiting, 1, seconds * 1000) > 0 else { throw SystemCallError("no message", code: ETIMEDOUT) }
        var packet = [UInt8](repeating: 0, count: 64)
        let size = recv(control.number, &packet, packet.count, 0)
        guard size == 25, packet[0] == 5 else { throw SystemCallError("an unknown message", code: EBADMSG) }
        var reader = ByteReader(packet[1..<25])
        let job = OutboxJob(high: try reader.read(UInt64.self), low: try reader.read(UInt64.self))
        return (job, try reader.read(UInt64.self))
    }

    /// Leaves the pump without a shim.
    func abandon() { control = nil }

    /// Waits until the pump has ended.
    func waitForEnd(seconds: Int32 = 90) throws -> Bool {
        let process = FileDescriptor(owning: try check(joblet_pidfd_open(pid), "pidfd_open"))
        var waiting = pollfd(fd: process.number, events: Int16(POLLIN), revents: 0)
        return poll(&waiting, 1, seconds * 1000) > 0
    }

    /// The processor time that the pump has used, in nanoseconds.
    func processorTime() throws -> Int64 {
        Int64(try readText("/proc/\(pid)/schedstat").prefix { $0 != " " }) ?? 0
    }

    func plan(segmentBytes: UInt64 = 1 << 20, jobBytes: UInt64 = 1 << 30, drops: Bool = false) -> OutputPlan {
        OutputPlan(root: root, segmentBytes: segmentBytes, jobBytes: jobBytes, dropsAtLimit: drops)
    }
}

/// A job that is only its pipes: bytes said by the test.
final class Speaker {
    let job: OutboxJob
    let stdout: FileDescriptor
    let stderr: FileDescriptor
    private var ends: [FileDescriptor?]

    init(_ number: UInt64) throws {
        // A pipe whose reader is gone is an error to a thread here, not the end of the tests.
        signal(SIGPIPE, SIG_IGN)
        job = OutboxJob(high: number, low: number)
        let pipes = [try Pipe(capacity: 1 << 20), try Pipe(capacity: 1 << 20)]
        (stdout, stderr) = (pipes[0].readEnd, pipes[1].readEnd)
        for pipe in pipes { try pipe.readEnd.setNonBlocking() }
        ends = pipes.map(\.writeEnd)
    }

    /// Says a few bytes, which fit into the pipe.
    func say(_ stream: Outbox.OutputStream, _ bytes: [UInt8]) throws {
        guard let end = ends[Int(stream.rawValue) - 1] else { throw SystemCallError("say", code: EBADF) }
        try retrying("write") { write(end.number, bytes, bytes.count) }
    }

    /// Closes one end.
    func close(_ stream: Outbox.OutputStream) { ends[Int(stream.rawValue) - 1] = nil }

    /// Says all of it from a thread of its own, at the pump's pace, and closes both ends.
    func sayAll(stdout: [UInt8], stderr: [UInt8]) {
        for (end, bytes) in zip(ends, [stdout, stderr]) {
            guard let end else { continue }
            Thread {
                // Ended by EPIPE at the latest when the test drops the pipe.
                var done = 0
                while done < bytes.count {
                    let count = bytes[done...].withUnsafeBytes { write(end.number, $0.baseAddress, $0.count) }
                    if count <= 0 { return }
                    done += count
                }
                withExtendedLifetime(end) {}
            }.start()
        }
        ends = [nil, nil]
    }
}

/// Starts a program with only the given descriptors beside 0 to 2, each as (ours, theirs).
func spawn(_ arguments: [String], environment: [String], descriptors: [(Int32, Int32)] = []) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (ours, theirs) in descriptors { posix_spawn_file_actions_adddup2(&actions, ours, theirs) }
    var pointers = arguments.map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { for pointer in pointers + variables { free(pointer) } }
    var pid: pid_t = 0
    let status = posix_spawn(&pid, arguments[0], &actions, nil, &pointers, &variables)
    guard status == 0 else { throw SystemCallError("spawn \(arguments[0])", code: status) }
    return pid
}

/// What an outbox holds: each stream's bytes, and the bytes that its notes say were dropped.
struct OutboxContents {
    var bytes: [Outbox.OutputStream: [UInt8]] = [.stdout: [], .stderr: []]
    var dropped: [Outbox.OutputStream: UInt64] = [.stdout: 0, .stderr: 0]
    /// The streams of the pieces, as they lie there.
    var order: [Outbox.OutputStream] = []
    var isAtEnd = false

    init() {}

    init(root: String, job: OutboxJob) throws {
        guard let reader = try OutboxReader(root: root, job: job) else { return }
        try follow(reader)
    }

    /// Reads on to where nothing more is written.
    mutating func follow(_ reader: OutboxReader) throws {
        while true {
            let batch = try reader.read(maxBytes: 1 << 20)
            var offset = 0
            for piece in batch.pieces {
                bytes[piece.stream, default: []] += batch.bytes[offset..<offset + piece.count]
                dropped[piece.stream, default: 0] += piece.dropped
                order.append(piece.stream)
                offset += piece.count
            }
            isAtEnd = reader.isAtEnd
            if batch.pieces.isEmpty { return }
        }
    }
}
