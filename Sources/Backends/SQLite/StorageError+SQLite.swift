import GRDB
import Storage

extension StorageError {
    /// The storage error of what GRDB threw on the database at `path`, by SQLite's result code.
    init(sqlite error: any Error, path: String) {
        switch error {
        case let error as StorageError:
            self = error
        case is CancellationError:
            self = .cancelled
        case let error as DatabaseError:
            let reason = "\(path): SQLite result \(error.extendedResultCode.rawValue)"
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT: self = .corrupt(place: path)
            case .SQLITE_FULL, .SQLITE_TOOBIG: self = .quota(reason: reason)
            case .SQLITE_INTERRUPT, .SQLITE_ABORT: self = .cancelled
            default: self = .unavailable(reason: reason)
            }
        case is RowDecodingError:
            // A column holds what the schema does not allow in it.
            self = .corrupt(place: path)
        default:
            self = .unavailable(reason: "\(path): \(error)")
        }
    }
}
