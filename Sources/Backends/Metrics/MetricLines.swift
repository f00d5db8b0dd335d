package import Storage

/// Samples as JSON Lines: one line a point, in order; those of one sample share its sequence.
///
/// `{"timestamp":ns,"metric_type":"cpu","values":{…},"sequence":n,"labels":{…}}`, names sorted. A sample without
/// points is a line without `metric_type`.
package enum MetricLines {
    /// A line that is none of ours.
    package typealias Malformed = MalformedJSON

    /// Adds the lines of a sample.
    package static func append(_ sample: MetricSample, to text: inout [UInt8]) {
        if sample.points.isEmpty { line(sample, nil, &text) }
        for point in sample.points { line(sample, point, &text) }
    }

    /// The samples that whole lines spell, in their order.
    package static func samples(_ text: [UInt8]) throws(Malformed) -> [MetricSample] {
        var samples: [MetricSample] = []
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let (sequence, time, point) = try parse(line)
            if samples.last?.sequence != sequence {
                samples.append(MetricSample(sequence: sequence, time: time, points: []))
            }
            guard samples.last?.time == time else { throw Malformed() }
            if let point { samples[samples.count - 1].points.append(point) }
        }
        return samples
    }

    /// Names and values as one JSON object, sorted by name; what is not finite is left out.
    package static func object(_ values: [String: Double]) -> [UInt8] {
        var text: [UInt8] = []
        append(values, &text)
        return text
    }

    /// Names and texts as one JSON object, sorted by name.
    package static func object(_ labels: [String: String]) -> [UInt8] {
        var text: [UInt8] = []
        append(labels, &text)
        return text
    }

    /// The values of an object of numbers.
    package static func values(_ text: String) throws(Malformed) -> [String: Double] {
        try JSONScanner.read(Array(text.utf8)[...]) { (scanner) throws(Malformed) in try scanner.numbers() }
    }

    /// The texts of an object of strings.
    package static func labels(_ text: String) throws(Malformed) -> [String: String] {
        try JSONScanner.read(Array(text.utf8)[...]) { (scanner) throws(Malformed) in try scanner.texts() }
    }

    private static func line(_ sample: MetricSample, _ point: MetricPoint?, _ text: inout [UInt8]) {
        text += "{\"timestamp\":\(sample.time),".utf8
        if let point {
            text += "\"metric_type\":\"\(point.type.rawValue)\",\"values\":".utf8
            append(point.values, &text)
            text += ",".utf8
        }
        text += "\"sequence\":\(sample.sequence)".utf8
        if let point {
            text += ",\"labels\":".utf8
            append(point.labels, &text)
        }
        text += "}\n".utf8
    }

    private static func append(_ values: [String: Double], _ text: inout [UInt8]) {
        var separator = UInt8(ascii: "{")
        if values.isEmpty { text.append(separator) }
        for (name, value) in values.sorted(by: { $0.key < $1.key }) where value.isFinite {
            text.append(separator)
            separator = UInt8(ascii: ",")
            JSONText.append(name, to: &text)
            text.append(UInt8(ascii: ":"))
            // Counters are whole numbers: shorter and plainer without a fraction.
            if let whole = Int64(exactly: value), abs(value) < 1e15 {
                text += "\(whole)".utf8
            } else {
                text += "\(value)".utf8
            }
        }
        if !values.isEmpty, separator == UInt8(ascii: "{") { text.append(separator) }
        text.append(UInt8(ascii: "}"))
    }

    private static func append(_ labels: [String: String], _ text: inout [UInt8]) {
        var separator = UInt8(ascii: "{")
        if labels.isEmpty { text.append(separator) }
        for (name, value) in labels.sorted(by: { $0.key < $1.key }) {
            text.append(separator)
            separator = UInt8(ascii: ",")
            JSONText.append(name, to: &text)
            text.append(UInt8(ascii: ":"))
            JSONText.append(value, to: &text)
        }
        text.append(UInt8(ascii: "}"))
    }

    private static func parse(
        _ line: ArraySlice<UInt8>
    ) throws(Malformed) -> (sequence: UInt64, time: Int64, point: MetricPoint?) {
        var (sequence, time): (UInt64?, Int64?) = (nil, nil)
        var type: String?
        var values: [String: Double] = [:]
        var labels: [String: String] = [:]
        try JSONScanner.read(line) { (scanner) throws(Malformed) in
            try scanner.members { (scanner, name) throws(Malformed) in
                switch name {
                case "timestamp": time = try scanner.integer()
                case "sequence": sequence = try scanner.integer()
                case "metric_type": type = try scanner.text()
                case "values": values = try scanner.numbers()
                case "labels": labels = try scanner.texts()
                default: throw Malformed()
                }
            }
        }
        guard let sequence, let time else { throw Malformed() }
        guard let type else { return (sequence, time, nil) }
        guard let type = MetricType(rawValue: type) else { throw Malformed() }
        return (sequence, time, MetricPoint(type: type, labels: labels, values: values))
    }
}
