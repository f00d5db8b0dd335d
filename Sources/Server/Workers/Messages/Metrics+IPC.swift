import JobletAPI
import Storage
import SwiftProtobuf

extension MetricSample {
    init(_ message: Joblet_Ipc_MetricSample) throws(MalformedMessage) {
        var points: [MetricPoint] = []
        points.reserveCapacity(message.points.count)
        for point in message.points {
            points.append(
                MetricPoint(type: try MetricType(wire: point.type), labels: point.labels, values: point.values))
        }
        self.init(sequence: message.sequence, time: message.time, points: points)
    }

    /// The sample as a message.
    var message: Joblet_Ipc_MetricSample {
        .with { message in
            message.sequence = sequence
            message.time = time
            message.points = points.map { point in
                .with { message in
                    message.type = point.type.rawValue
                    message.labels = point.labels
                    message.values = point.values
                }
            }
        }
    }
}

extension MetricType {
    init(wire name: String) throws(MalformedMessage) {
        guard let type = MetricType(rawValue: name) else {
            throw MalformedMessage("samples of a type unknown here: \(name.prefix(32))")
        }
        self = type
    }
}

extension Array where Element == MetricSample {
    /// The samples of a message.
    init(_ messages: [Joblet_Ipc_MetricSample]) throws(MalformedMessage) {
        self.init()
        reserveCapacity(messages.count)
        for message in messages { append(try MetricSample(message)) }
    }
}

extension MetricQuery {
    init(_ message: Joblet_Ipc_MetricQuery) throws(MalformedMessage) {
        var types: Set<MetricType> = []
        for name in message.types { types.insert(try MetricType(wire: name)) }
        self.init(
            job: JobID(message.job), types: types, since: message.hasSince ? message.since : nil,
            until: message.hasUntil ? message.until : nil,
            endSequence: message.hasEndSequence ? message.endSequence : nil)
    }

    /// The query as a message.
    var message: Joblet_Ipc_MetricQuery {
        .with { message in
            message.job = job.message
            message.types = types.map(\.rawValue)
            if let since { message.since = since }
            if let until { message.until = until }
            if let endSequence { message.endSequence = endSequence }
        }
    }
}

extension MetricPage {
    init(_ message: Joblet_Ipc_MetricPage) throws(MalformedMessage) {
        self.init(samples: try [MetricSample](message.samples), next: message.next, isLast: message.isLast)
    }

    /// The page as a message of at most `limit` bytes of samples, but at least one sample: what is left out is on
    /// the next page.
    func message(limit: Int) -> Joblet_Ipc_MetricPage {
        var message = Joblet_Ipc_MetricPage()
        message.next = next
        message.isLast = isLast
        var size = 0
        for sample in samples {
            let part = sample.message
            size += part.encodedSize
            if size > limit, let last = message.samples.last {
                message.next = last.sequence &+ 1
                message.isLast = false
                break
            }
            message.samples.append(part)
        }
        return message
    }
}

extension Joblet_Ipc_MetricSample {
    /// At least the bytes that the message takes.
    var encodedSize: Int {
        points.reduce(32) { size, point in
            let labels = point.labels.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 16 }
            return size + 32 + labels + point.values.keys.reduce(0) { $0 + $1.utf8.count + 24 }
        }
    }
}

extension MetricStatistics {
    init(_ message: Joblet_Ipc_MetricStatistics) throws(MalformedMessage) {
        self.init(
            samples: message.samples, storedBytes: message.storedBytes,
            times: try range(
                message.hasEarliest ? message.earliest : nil, message.hasLatest ? message.latest : nil))
    }

    /// The statistics as a message.
    var message: Joblet_Ipc_MetricStatistics {
        .with { message in
            message.samples = samples
            message.storedBytes = storedBytes
            if let times {
                message.earliest = times.lowerBound
                message.latest = times.upperBound
            }
        }
    }
}
