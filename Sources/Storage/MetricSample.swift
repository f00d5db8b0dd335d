/// What a sample's values are about; the raw value is the `metric_type` of files and queries.
public enum MetricType: String, Sendable, Hashable, Codable, CaseIterable {
    case cpu
    case memory
    case io
    case process
    case network
    case gpu
}

/// Values of one type that were read together, of the whole job or of one thing that `labels` name.
public struct MetricPoint: Sendable, Hashable {
    /// What the values are about.
    public var type: MetricType
    /// Which part of the job they belong to (`device` for a disk, `gpu` for an accelerator); empty for all of it.
    public var labels: [String: String]
    /// The values by name, finite numbers; zeros are values and stay. What could not be read has no name here.
    public var values: [String: Double]

    /// A point of the given values.
    public init(type: MetricType, labels: [String: String] = [:], values: [String: Double]) {
        self.type = type
        self.labels = labels
        self.values = values
    }
}

/// What a job used, read at one time.
public struct MetricSample: Sendable, Hashable {
    /// The number of samples of the job before this one.
    public var sequence: UInt64
    /// When it was read: nanoseconds since 1970 (CLOCK_REALTIME), never smaller than the sample's before.
    public var time: Int64
    /// The values, several points of one type where their labels differ.
    public var points: [MetricPoint]

    /// A sample of the given values.
    public init(sequence: UInt64, time: Int64, points: [MetricPoint]) {
        self.sequence = sequence
        self.time = time
        self.points = points
    }
}
