extension LogVerification.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .damage(let place): "damaged: \(place)"
        case .unreadable(let error): "cannot be read: \(error)"
        case .order(let position): "position \(position) comes again"
        case .gap(let position, let bytes): "\(bytes) bytes are missing at \(position), and no note says so"
        case .time(let position): "what is at \(position) is earlier than what is before it"
        case .count(let what, let stored, let read): "\(what): the store says \(stored), there are \(read)"
        }
    }
}

extension MetricVerification.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .damage(let place): "damaged: \(place)"
        case .unreadable(let error): "cannot be read: \(error)"
        case .order(let sequence): "sample \(sequence) comes again"
        case .time(let sequence): "sample \(sequence) is earlier than the one before it"
        case .count(let what, let stored, let read): "\(what): the store says \(stored), there are \(read)"
        }
    }
}

extension JobRecordVerification.Problem: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreadable(let error): "the records cannot be read: \(error)"
        case .order(let job): "job \(job): listed twice or at the wrong place"
        case .mismatch(let job): "job \(job): asked for by its id it is another record, or none"
        case .nonsense(let job, let reason): "job \(job): \(reason)"
        }
    }
}

extension JobRepair.Outcome: CustomStringConvertible {
    public var description: String {
        switch self {
        case .sound: "sound"
        case .mended(let lostBytes): "mended, \(lostBytes) bytes are lost"
        case .rebuilt(let bytes): "its index was made anew, \(bytes) bytes are there"
        case .failed(let error): "cannot be mended: \(error)"
        }
    }
}
