import JobletAPI
import Storage
import SwiftProtobuf

extension StorageError {
    init(_ message: Joblet_Ipc_Failure) {
        switch message.error {
        case .notFound: self = .notFound
        case .gap(let gap): self = .gap(expected: gap.expected)
        case .unavailable(let failure):
            self = .unavailable(
                reason: failure.reason, retryAfter: failure.hasRetryAfter ? failure.retryAfter : nil)
        case .corrupt(let place): self = .corrupt(place: place)
        case .quota(let reason): self = .quota(reason: reason)
        case .refused(let reason): self = .refused(reason: reason)
        case .cancelled: self = .cancelled
        case nil: self = .unavailable(reason: "the storage worker failed for a reason unknown here")
        }
    }

    /// The failure as a message.
    var message: Joblet_Ipc_Failure {
        .with { message in
            switch self {
            case .notFound: message.notFound = .init()
            case .gap(let expected): message.gap = .with { $0.expected = expected }
            case .unavailable(let reason, let retryAfter):
                message.unavailable = .with { failure in
                    failure.reason = reason
                    if let retryAfter { failure.retryAfter = retryAfter }
                }
            case .corrupt(let place): message.corrupt = place
            case .quota(let reason): message.quota = reason
            case .refused(let reason): message.refused = reason
            case .cancelled: message.cancelled = .init()
            }
        }
    }
}
