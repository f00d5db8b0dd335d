import CLinux
import Glibc
import Kernel
import Logging
import Outbox
import Storage
import Synchronization

/// Tells who waits for a job's output that its outbox has grown.
///
/// One thread reads inotify(7) for the whole node; a subscriber that has not looked yet is told once. Where the host
/// has no watch left (`fs.inotify.max_user_watches`), subscribers are told every 100 ms until it has one.
final class OutboxWatcher: Sendable {
    private static let pollMilliseconds: Int32 = 100

    private struct State {
        var watches: [Int32: JobID] = [:]
        var byJob: [JobID: Int32] = [:]
        var rootWatch: Int32 = -1
        /// The jobs whose outboxes the kernel does not watch.
        var unwatched: Set<JobID> = []
        var isShortageReported = false
        var subscribers: [JobID: [UInt64: AsyncStream<Void>.Continuation]] = [:]
        var nextSubscriber: UInt64 = 0
        var isClosed = false
    }

    private let inotify: FileDescriptor
    /// Tells the thread that there is something to poll.
    private let wakeUp: Pipe
    private let root: String
    private let logger: Logger
    private let state = Mutex(State())

    /// Watches the outboxes below `root`, which must exist.
    init(root: String, logger: Logger) throws(EngineError) {
        self.root = root
        self.logger = logger
        do throws(SystemCallError) {
            wakeUp = try Pipe()
            for end in [wakeUp.readEnd, wakeUp.writeEnd] { try end.setNonBlocking() }
            inotify = FileDescriptor(owning: try check(joblet_inotify_create(), "inotify_init"))
            try check(access(root, R_OK) == 0 ? 0 : -errno, "look at \(root)")
        } catch {
            throw EngineError(.internal, "\(error)")
        }
        state.withLock { watchRoot(&$0) }
        let reference = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<OutboxWatcher>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, reference.toOpaque())
        guard status == 0 else {
            reference.release()
            throw EngineError(.internal, "cannot start the outbox watcher")
        }
        pthread_detach(thread)
    }

    /// Ends every stream, and those to come.
    func close() {
        let subscribers = state.withLock { state in
            state.isClosed = true
            _ = write(wakeUp.writeEnd.number, [1], 1)
            return state.subscribers.values.flatMap(\.values)
        }
        for subscriber in subscribers { subscriber.finish() }
    }

    /// A stream with an element after each growth of the job's outbox; it ends with the watcher.
    ///
    /// One element comes at once, for what is there already; not where there is no outbox yet, unless `evenIfAbsent`.
    func changes(of job: JobID, evenIfAbsent: Bool = true) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let subscription: (number: UInt64, isWatched: Bool)? = state.withLock { state in
            if state.isClosed { return nil }
            state.nextSubscriber += 1
            state.subscribers[job, default: [:]][state.nextSubscriber] = continuation
            return (state.nextSubscriber, watch(job, &state))
        }
        guard let (number, isWatched) = subscription else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.unsubscribe(job, number) }
        // What grew before the watch was there is found by looking now.
        if isWatched || evenIfAbsent { continuation.yield() }
        return stream
    }

    /// Tells the job's subscribers to look, for changes that are none of a file.
    func notify(_ job: JobID) {
        let subscribers = state.withLock { Array($0.subscribers[job, default: [:]].values) }
        for subscriber in subscribers { subscriber.yield() }
    }

    private func unsubscribe(_ job: JobID, _ number: UInt64) {
        state.withLock { state in
            state.subscribers[job]?[number] = nil
            guard state.subscribers[job]?.isEmpty == true else { return }
            state.subscribers[job] = nil
            state.unwatched.remove(job)
            if let watch = state.byJob.removeValue(forKey: job) {
                state.watches[watch] = nil
                inotify_rm_watch(inotify.number, watch)
            }
        }
    }

    /// Watches the job's outbox; false where there is none yet: the watch of the root tells when it appears.
    private func watch(_ job: JobID, _ state: inout State) -> Bool {
        guard state.byJob[job] == nil else { return true }
        do throws(SystemCallError) {
            try FailPoint.pass("watcher.beforeWatch")
            let watch = try check(joblet_inotify_watch(inotify.number, "\(root)/\(job)"), "inotify_add_watch")
            state.byJob[job] = watch
            state.watches[watch] = job
            state.unwatched.remove(job)
        } catch {
            // Where nothing tells that it appears, it is looked for.
            let isAbsent = error.code == ENOENT
            if isAbsent, state.rootWatch >= 0 {
                state.unwatched.remove(job)
                return false
            }
            if state.unwatched.isEmpty { _ = write(wakeUp.writeEnd.number, [1], 1) }
            state.unwatched.insert(job)
            if !isAbsent { reportShortage(error, &state) }
            return !isAbsent
        }
        return true
    }

    /// Watches for new outboxes, unless they are watched for.
    private func watchRoot(_ state: inout State) {
        guard state.rootWatch < 0 else { return }
        do throws(SystemCallError) {
            try FailPoint.pass("watcher.beforeWatch")
            state.rootWatch = try check(joblet_inotify_watch(inotify.number, root), "inotify_add_watch")
        } catch {
            reportShortage(error, &state)
        }
    }

    private func reportShortage(_ error: SystemCallError, _ state: inout State) {
        if !state.isShortageReported {
            logger.warning("outboxes are polled: the host has no inotify watch left", metadata: ["error": "\(error)"])
        }
        state.isShortageReported = true
    }

    private func run() {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let hasUnwatched = state.withLock { !$0.unwatched.isEmpty }
            var files = [inotify, wakeUp.readEnd].map { pollfd(fd: $0.number, events: Int16(POLLIN), revents: 0) }
            guard poll(&files, 2, hasUnwatched ? OutboxWatcher.pollMilliseconds : -1) >= 0 || errno == EINTR else {
                let error = SystemCallError.current("poll")
                return logger.critical("the outbox watcher ends", metadata: ["error": "\(error)"])
            }
            var bytes = 0
            if files[1].revents != 0 { _ = read(wakeUp.readEnd.number, &buffer, buffer.count) }
            if files[0].revents != 0 { bytes = max(0, read(inotify.number, &buffer, buffer.count)) }
            let told: [AsyncStream<Void>.Continuation]? = state.withLock { state in
                if state.isClosed { return nil }
                watchRoot(&state)
                var told = state.unwatched
                for job in told { _ = watch(job, &state) }
                for event in InotifyEvent.decode(buffer[..<bytes]) { note(event, &state, &told) }
                return told.flatMap { state.subscribers[$0, default: [:]].values }
            }
            guard let told else { return }
            for subscriber in told { subscriber.yield() }
        }
    }

    /// Adds the jobs whose subscribers have something to look at because of `event`.
    private func note(_ event: InotifyEvent, _ state: inout State, _ told: inout Set<JobID>) {
        if event.isOverflow {
            for job in state.subscribers.keys {
                _ = watch(job, &state)
                told.insert(job)
            }
        } else if event.watch == state.rootWatch {
            if let job = JobID(event.name), state.subscribers[job] != nil, watch(job, &state) { told.insert(job) }
        } else if let job = state.watches[event.watch], OutboxWatcher.isReadable(event.name) {
            told.insert(job)
        }
    }

    /// Whether a file of that name tells readers something: bytes can be read once the index has them. The
    /// directory's own events have no name.
    private static func isReadable(_ name: String) -> Bool {
        name.isEmpty || name.hasPrefix("index.") && !name.hasSuffix(".new")
    }
}

/// One event of inotify(7).
private struct InotifyEvent {
    /// The watch that it came by.
    let watch: Int32
    /// Whether events were lost before it.
    let isOverflow: Bool
    /// The name in the watched directory; empty where the event is that of the directory.
    let name: String

    private static let headerSize = 16

    /// The events that one read(2) gave.
    static func decode(_ bytes: ArraySlice<UInt8>) -> [InotifyEvent] {
        bytes.withUnsafeBytes { bytes in
            var events: [InotifyEvent] = []
            var offset = 0
            while offset + headerSize <= bytes.count {
                let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
                let name = bytes[(offset + headerSize)..<min(bytes.count, offset + headerSize + length)]
                events.append(
                    InotifyEvent(
                        watch: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self),
                        isOverflow: bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                            & UInt32(IN_Q_OVERFLOW) != 0,
                        name: String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)))
                offset += headerSize + length
            }
            return events
        }
    }
}
