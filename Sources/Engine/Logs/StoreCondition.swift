import Storage
import Synchronization

/// Whether a store took what was brought to it last.
final class StoreCondition: Sendable {
    private let failure = Mutex<StorageError?>(nil)

    /// Why nothing was taken since the last failure; nil where something was.
    var problem: StorageError? { failure.withLock { $0 } }

    /// Something was taken.
    func works() { failure.withLock { $0 = nil } }

    /// Something was not taken.
    func fails(_ error: StorageError) { failure.withLock { $0 = error } }
}
