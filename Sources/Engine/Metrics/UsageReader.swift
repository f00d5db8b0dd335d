import Kernel
import Sandbox
import Storage

/// Where a job's control groups are.
enum JobGroups: Sendable, Hashable {
    /// One directory of the unified hierarchy.
    case unified(String)
    /// A directory a controller.
    case legacy([String: String])
    /// The host has none for jobs.
    case none

    /// The directory that stands for all of them; empty where there is none.
    var path: String {
        switch self {
        case .unified(let path): path
        case .legacy(let paths): paths["memory"] ?? paths["pids"] ?? paths.values.min() ?? ""
        case .none: ""
        }
    }
}

/// Reads what one job uses, through files that stay open. Used from one thread.
final class UsageReader {
    private let files: any UsageFiles
    private var processes = ProcessUsage()

    init(_ groups: JobGroups) {
        switch groups {
        case .unified(let path): files = UnifiedUsage(path)
        case .legacy(let paths): files = LegacyUsage(paths)
        case .none: files = NoUsage()
        }
    }

    /// The number of descriptors that stay open from one call to the next.
    var descriptors: Int { files.all.count }

    /// What the job uses now.
    func read() -> ResourceUsage {
        var usage = ResourceUsage(time: SystemClock.sinceBoot())
        files.read(into: &usage)
        if let list = files.processes.read() { processes.read(ControlText.numbers(list), into: &usage) }
        return usage
    }

    /// Gives up the descriptors until the next `read`.
    func close() {
        for file in files.all { file.close() }
    }
}

/// The control files of one kind of hierarchy.
protocol UsageFiles: AnyObject {
    /// Lists the group's processes.
    var processes: ControlFile { get }
    /// Every file that stays open.
    var all: [ControlFile] { get }
    /// Adds what the files say.
    func read(into usage: inout ResourceUsage)
}

extension ResourceUsage {
    /// Adds numbers of a keyed file under names of ours.
    mutating func add(_ type: MetricType, _ numbers: KeyedNumbers, _ names: [(String, String)], scale: Double = 1) {
        for (key, name) in names {
            if let number = numbers[key] { self[type, name] = Double(number) * scale }
        }
    }

    /// Adds a number where it is told.
    mutating func add(_ type: MetricType, _ name: String, _ number: UInt64?, scale: Double = 1) {
        if let number { self[type, name] = Double(number) * scale }
    }

    /// Adds a counter of a device, to it and to the job's total.
    mutating func add(device: String, _ name: String, _ number: Double) {
        devices[device, default: [:]][name, default: 0] += number
        self[.io, name] = (self[.io, name] ?? 0) + number
    }

    /// Adds the averages of a pressure file (psi.rst).
    mutating func add(pressure file: ControlFile, _ type: MetricType) {
        ControlText.nested(file.read()) { kind, key, value in
            // some avg10=0.12 … total=34
            if key.hasPrefix("avg"), let value = Double(value) {
                self[type, "\(type.rawValue)_pressure_\(kind)_\(key)"] = value
            }
        }
    }
}

/// A host without control groups for jobs.
private final class NoUsage: UsageFiles {
    let processes = ControlFile("/dev/null")
    let all: [ControlFile] = []
    func read(into usage: inout ResourceUsage) {}
}
