import Kernel
import Storage

/// What a job's control groups and processes said at one time; a name that is not there is not told by this host.
struct JobUsage: Sendable, Hashable {
    /// When it was read, in nanoseconds since boot.
    var time: Int64
    /// The values of the whole job.
    var values: [MetricType: [String: Double]] = [:]
    /// Counters of input and output by device (`major:minor`).
    var devices: [String: [String: Double]] = [:]

    /// Nothing, read at `time`.
    init(time: Int64) {
        self.time = time
    }

    /// The usage of a job whose processes began at `time`: every counter is zero.
    static func start(at time: Int64) -> JobUsage {
        var usage = JobUsage(time: time)
        for (type, counters) in [
            (MetricType.cpu, cpuCounters), (.io, ioCounters), (.cpu, ["cpu_nr_periods", "cpu_nr_throttled"]),
        ] {
            for name in counters { usage[type, name] = 0 }
        }
        return usage
    }

    /// What a sample said, for rates since it; nil where the clock was set back behind it.
    init?(_ sample: MetricSample) {
        let age = SystemClock.now() - sample.time
        guard age > 0 else { return nil }
        self.init(time: SystemClock.sinceBoot() - age)
        for point in sample.points where point.labels.isEmpty { values[point.type] = point.values }
    }

    private static let cpuCounters = ["cpu_usage_usec", "cpu_user_usec", "cpu_system_usec"]
    private static let ioCounters = ["io_read_bytes", "io_write_bytes", "io_read_ops", "io_write_ops"]

    /// A value of the whole job; nil is not told.
    subscript(_ type: MetricType, _ name: String) -> Double? {
        get { values[type]?[name] }
        set { values[type, default: [:]][name] = newValue }
    }

    /// Whether anything was told.
    var isEmpty: Bool { values.allSatisfy(\.value.isEmpty) && devices.isEmpty }

    /// The points of a sample, with rates since `previous` where that is known.
    func points(since previous: JobUsage?) -> [MetricPoint] {
        var usage = self
        if let previous { usage.addRates(since: previous) }
        usage.addShares()
        var points = MetricType.allCases.compactMap { type in
            usage.values[type].flatMap { $0.isEmpty ? nil : MetricPoint(type: type, values: $0) }
        }
        for (device, values) in devices.sorted(by: { $0.key < $1.key }) {
            points.append(MetricPoint(type: .io, labels: ["device": device], values: values))
        }
        return points
    }

    private mutating func addRates(since previous: JobUsage) {
        let nanoseconds = Double(time - previous.time)
        guard nanoseconds > 0 else { return }
        // Percent of one core.
        let cpu: [(String, String)] = [
            ("cpu_usage_usec", "cpu_total"), ("cpu_user_usec", "cpu_user"), ("cpu_system_usec", "cpu_system"),
        ]
        for (counter, rate) in cpu {
            self[.cpu, rate] = growth(.cpu, counter, previous).map { $0 * 1000 / nanoseconds * 100 }
        }
        self[.cpu, "cpu_percent"] = self[.cpu, "cpu_total"]
        if let periods = growth(.cpu, "cpu_nr_periods", previous),
            let throttled = growth(.cpu, "cpu_nr_throttled", previous)
        {
            self[.cpu, "cpu_throttle_percent"] = periods > 0 ? throttled / periods * 100 : 0
        }
        let io: [(String, String)] = [
            ("io_read_bytes", "io_read_bps"), ("io_write_bytes", "io_write_bps"), ("io_read_ops", "io_read_iops"),
            ("io_write_ops", "io_write_iops"),
        ]
        for (counter, rate) in io {
            self[.io, rate] = growth(.io, counter, previous).map { $0 * 1e9 / nanoseconds }
        }
    }

    /// How much a counter grew; nil where one of both is not known. A counter that was reset has not grown.
    private func growth(_ type: MetricType, _ name: String, _ previous: JobUsage) -> Double? {
        guard let new = self[type, name], let old = previous[type, name] else { return nil }
        return max(0, new - old)
    }

    private mutating func addShares() {
        if let current = self[.memory, "memory_current"], let limit = self[.memory, "memory_max"], limit > 0 {
            self[.memory, "memory_percent"] = current / limit * 100
        }
    }
}
