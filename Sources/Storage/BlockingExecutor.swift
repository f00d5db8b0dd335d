import Glibc
import Synchronization

/// A fixed set of threads for calls that block: file I/O, compression, SQLite.
///
/// The cooperative pool has one thread a core; a blocked one there stops unrelated work. An actor that
/// owns files takes one of these threads as its executor instead.
public final class BlockingExecutor: Sendable {
    private let threads: [BlockingThread]
    private let next = Atomic<Int>(0)

    /// Starts `count` threads, which end with the process.
    public init(count: Int) {
        threads = (0..<Swift.max(1, count)).map { _ in BlockingThread() }
    }

    /// The number of threads.
    public var count: Int { threads.count }

    /// The thread whose turn it is, for an actor to keep as its executor.
    public func thread() -> BlockingThread {
        let (_, turn) = next.add(1, ordering: .relaxed)
        return threads[turn % threads.count]
    }

    /// The threads that backends and the outbox of this process share.
    public static let shared = BlockingExecutor(count: 4)
}

/// One thread that runs the jobs of the actors assigned to it, in order.
public final class BlockingThread: SerialExecutor {
    private let state: Mutex<State>
    private let wake = Semaphore()

    private struct State {
        var jobs: [UnownedJob] = []
    }

    fileprivate init() {
        state = Mutex(State())
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // Enough for SQLite and zlib; the default of 8 MiB counts against small containers.
        pthread_attr_setstacksize(&attributes, 1 << 20)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                Unmanaged<BlockingThread>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "cannot start a thread: \(status)")
        pthread_attr_destroy(&attributes)
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let wasEmpty = state.withLock { state in
            state.jobs.append(job)
            return state.jobs.count == 1
        }
        if wasEmpty { wake.signal() }
    }

    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    private func run() {
        while true {
            wake.wait()
            while true {
                let jobs = state.withLock { state in
                    defer { state.jobs.removeAll(keepingCapacity: true) }
                    return state.jobs
                }
                if jobs.isEmpty { break }
                for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
            }
        }
    }
}

/// A counting semaphore of the C library, at a fixed address.
private final class Semaphore: @unchecked Sendable {
    // Safe to share: sem_post and sem_wait are thread-safe and the address never changes.
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() {
        sem_post(semaphore)
    }

    func wait() {
        while sem_wait(semaphore) != 0 {}
    }
}
