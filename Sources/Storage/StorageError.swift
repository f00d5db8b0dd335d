/// Why a store could not do what it was asked.
///
/// The set is closed, so that a caller can decide what to do without reading a message.
public enum StorageError: Error, Equatable, Sendable {
    /// The store has nothing under that id.
    case notFound

    /// A run of fragments begins behind the end of what the store holds; it expects `expected` next.
    case gap(expected: UInt64)

    /// The store cannot be reached or cannot write now; the same call may succeed later.
    ///
    /// `retryAfter` is the store's own advice in milliseconds, nil where it has none.
    case unavailable(reason: String, retryAfter: UInt64? = nil)

    /// What is stored is damaged at `place` (a file and offset, a table and key).
    case corrupt(place: String)

    /// The store has no room for more.
    case quota(reason: String)

    /// The store was deleted or superseded: a version below a tombstone, or another node's record.
    case refused(reason: String)

    /// The calling task was cancelled; what was visible before stays visible.
    case cancelled
}

extension StorageError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notFound: "not found"
        case .gap(let expected): "gap: position \(expected) was expected"
        case .unavailable(let reason, _): "storage unavailable: \(reason)"
        case .corrupt(let place): "stored data is damaged: \(place)"
        case .quota(let reason): "storage is full: \(reason)"
        case .refused(let reason): "refused by storage: \(reason)"
        case .cancelled: "cancelled"
        }
    }
}
