import FoundationEssentials
import Storage

/// A line of a log file that the original wrote: one JSON object, zero-valued fields left out.
struct OriginalLogLine: Decodable {
    var stream: LogStream
    var time: Int64
    var sequence: UInt64
    var content: [UInt8]

    private enum CodingKeys: String, CodingKey {
        case stream, timestamp, sequence, content
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let number = try fields.decodeIfPresent(UInt8.self, forKey: .stream) ?? 0
        // Unspecified was only ever written for stdout.
        guard let stream = number == 0 ? .stdout : LogStream(rawValue: number) else {
            throw DecodingError.dataCorruptedError(forKey: .stream, in: fields, debugDescription: "no such stream")
        }
        self.stream = stream
        time = try fields.decodeIfPresent(Int64.self, forKey: .timestamp) ?? 0
        sequence = try fields.decodeIfPresent(UInt64.self, forKey: .sequence) ?? 0
        content = [UInt8](try fields.decodeIfPresent(Data.self, forKey: .content) ?? Data())
    }
}

/// A line of a metrics file: what the original wrote, or the form with `metric_type` and `values`.
struct OriginalMetricLine: Decodable {
    var time: Int64
    var points: [MetricPoint]

    private enum CodingKeys: String, CodingKey {
        case timestamp, data, values
        case type = "metric_type"
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        time = Self.nanoseconds(try fields.decodeIfPresent(Int64.self, forKey: .timestamp) ?? 0)
        if let type = try fields.decodeIfPresent(MetricType.self, forKey: .type) {
            points = [MetricPoint(type: type, values: try fields.decode([String: Double].self, forKey: .values))]
        } else {
            points = try fields.decodeIfPresent(Sample.self, forKey: .data)?.points ?? []
        }
    }

    /// The original wrote whole seconds into a field of nanoseconds. As nanoseconds they would all be in the first
    /// minutes of 1970, as seconds nanoseconds would be in a future that no clock reaches.
    private static func nanoseconds(_ timestamp: Int64) -> Int64 {
        let largestSeconds: Int64 = 1_000_000_000_000
        guard timestamp > -largestSeconds, timestamp < largestSeconds else { return timestamp }
        let (time, overflow) = timestamp.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? timestamp : time
    }

    private struct Sample: Decodable {
        var cpu_usage: Double?
        var memory_usage: Double?
        var gpu_usage: Double?
        var disk_io: Disk?
        var network_io: Network?

        struct Disk: Decodable {
            var read_bytes: Double?
            var write_bytes: Double?
            var read_ops: Double?
            var write_ops: Double?
        }

        struct Network: Decodable {
            var rx_bytes: Double?
            var tx_bytes: Double?
            var rx_packets: Double?
            var tx_packets: Double?
        }

        /// Fields that are left out were zero; only what was never collected stays away.
        var points: [MetricPoint] {
            var points = [
                MetricPoint(type: .cpu, values: ["cpu_percent": (cpu_usage ?? 0) * 100]),
                MetricPoint(type: .memory, values: ["memory_current": memory_usage ?? 0]),
                MetricPoint(
                    type: .io,
                    values: [
                        "io_read_bytes": disk_io?.read_bytes ?? 0, "io_write_bytes": disk_io?.write_bytes ?? 0,
                        "io_read_ops": disk_io?.read_ops ?? 0, "io_write_ops": disk_io?.write_ops ?? 0,
                    ]),
            ]
            if let gpu_usage { points.append(MetricPoint(type: .gpu, values: ["gpu_percent": gpu_usage * 100])) }
            if let network = network_io {
                let values = [
                    "net_rx_bytes": network.rx_bytes, "net_tx_bytes": network.tx_bytes,
                    "net_rx_packets": network.rx_packets, "net_tx_packets": network.tx_packets,
                ]
                // The original had no source for them: all zero says nothing.
                if values.values.contains(where: { $0 != nil }) {
                    points.append(MetricPoint(type: .network, values: values.mapValues { $0 ?? 0 }))
                }
            }
            return points
        }
    }
}
