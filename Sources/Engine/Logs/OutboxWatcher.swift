import CLinux
import Glibc
import Kernel
import Outbox
import Storage
import Synchronization

/// Tells who waits for a job's output that its outbox has grown.
///
/// One thread reads inotify(7) for the whole node; a subscriber that has not looked yet is told once.
final class OutboxWatcher: Sendable {
    private struct State {
        var watches: [Int32: JobID] = [:]
        var byJob: [JobID: Int32] = [:]
        var rootWatch: Int32 = -1
        var subscribers: [JobID: [UInt64: AsyncStream<Void>.Continuation]] = [:]
        var nextSubscriber: UInt64 = 0
        var isClosed = false
    }

    private let inotify: FileDescriptor
    private let root: String
    private let state = Mutex(State())

    /// Watches the outboxes below `root`, which must exist.
    init(root: String) throws(EngineError) {
        self.root = root
        do throws(SystemCallError) {
            inotify = FileDescriptor(owning: try check(joblet_inotify_create(), "inotify_init"))
            let watch = try check(joblet_inotify_watch(inotify.number, root), "watch \(root)")
            state.withLock { $0.rootWatch = watch }
        } catch {
            throw EngineError(.internal, "\(error)")
        }
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
            // The kernel tells of a watch's removal, which wakes the thread.
            inotify_rm_watch(inotify.number, state.rootWatch)
            return state.subscribers.values.flatMap(\.values)
        }
        for subscriber in subscribers { subscriber.finish() }
    }

    /// A stream with an element after each growth of the job's outbox, and one at once; it ends with the watcher.
    func changes(of job: JobID) -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number: UInt64? = state.withLock { state in
            if state.isClosed { return nil }
            state.nextSubscriber += 1
            state.subscribers[job, default: [:]][state.nextSubscriber] = continuation
            watch(job, &state)
            return state.nextSubscriber
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in self?.unsubscribe(job, number) }
        // What grew before the watch was there is found by looking now.
        continuation.yield()
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
            if let watch = state.byJob.removeValue(forKey: job) {
                state.watches[watch] = nil
                inotify_rm_watch(inotify.number, watch)
            }
        }
    }

    private func watch(_ job: JobID, _ state: inout State) {
        guard state.byJob[job] == nil else { return }
        // Not there yet: the watch of the root tells when it appears.
        let watch = joblet_inotify_watch(inotify.number, "\(root)/\(job)")
        guard watch >= 0 else { return }
        state.byJob[job] = watch
        state.watches[watch] = job
    }

    private func run() {
        var events = [Int32](repeating: 0, count: 512)
        while true {
            let count = joblet_inotify_read(inotify.number, &events)
            guard count >= 0 else { return }
            let told: [AsyncStream<Void>.Continuation]? = state.withLock { state in
                if state.isClosed { return nil }
                var told: Set<JobID> = []
                for index in 0..<Int(count) {
                    let watch = events[2 * index]
                    if watch == -1 {
                        told.formUnion(state.subscribers.keys)
                    } else if watch == state.rootWatch {
                        for job in state.subscribers.keys where state.byJob[job] == nil {
                            self.watch(job, &state)
                            if state.byJob[job] != nil { told.insert(job) }
                        }
                    } else if let job = state.watches[watch] {
                        told.insert(job)
                    }
                }
                return told.flatMap { state.subscribers[$0, default: [:]].values }
            }
            guard let told else { return }
            for subscriber in told { subscriber.yield() }
        }
    }
}
