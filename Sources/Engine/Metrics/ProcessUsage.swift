import Glibc
import Kernel
import Storage

/// What /proc says of a job's processes (proc(5)).
struct ProcessUsage {
    /// Above this many processes none is looked at: one job must not hold up the samples of the others.
    private static let limit = 512

    private var openFileLimit: Double?

    /// Adds threads, states, descriptors and address space of the processes; nothing where there are too many.
    mutating func read(_ pids: [Int32], into usage: inout JobUsage) {
        guard pids.count <= ProcessUsage.limit else { return }
        var states: [String: Double] = [
            "process_running": 0, "process_sleeping": 0, "process_stopped": 0, "process_zombie": 0,
        ]
        var (threads, files, memory) = (0.0, 0.0, 0.0)
        for pid in pids {
            // One that has ended meanwhile counts no more.
            guard let stat = ProcessStat(pid) else { continue }
            threads += stat.threads
            memory += stat.addressSpace
            files += ProcessUsage.openFiles(pid)
            states[stat.stateName, default: 0] += 1
            if openFileLimit == nil { openFileLimit = ProcessUsage.openFileLimit(pid) }
        }
        for (name, value) in states { usage[.process, name] = value }
        usage[.process, "process_threads"] = threads
        usage[.process, "process_open_fds"] = files
        usage[.process, "process_max_fds"] = openFileLimit
        usage[.memory, "memory_vms"] = memory
    }

    /// The number of open descriptors: the size of the directory since Linux 6.2, else its entries.
    private static func openFiles(_ pid: Int32) -> Double {
        var status = stat()
        let path = "/proc/\(pid)/fd"
        if stat(path, &status) == 0, status.st_size > 0 { return Double(status.st_size) }
        do throws(SystemCallError) {
            return Double(try Directory.names(in: path).count)
        } catch {
            return 0
        }
    }

    /// The soft limit of a process.
    private static func openFileLimit(_ pid: Int32) -> Double? {
        do throws(SystemCallError) {
            for line in try readText("/proc/\(pid)/limits").split(separator: "\n")
            where line.hasPrefix("Max open files") {
                return line.dropFirst("Max open files".count).split(separator: " ").first.flatMap { Double($0) }
            }
        } catch {
            // It has ended meanwhile.
        }
        return nil
    }
}

/// The fields of /proc/<pid>/stat that samples show.
struct ProcessStat: Hashable {
    /// The state's letter.
    let state: Character
    let threads: Double
    /// Bytes of address space.
    let addressSpace: Double

    /// Nil where the process has ended.
    init?(_ pid: Int32) {
        do throws(SystemCallError) {
            self.init(text: try readText("/proc/\(pid)/stat"))
        } catch {
            return nil
        }
    }

    /// What a line of /proc/<pid>/stat says.
    init?(text: String) {
        // The second field, the name, may hold anything; the state is the third.
        guard let parenthesis = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: parenthesis)...].split(separator: " ")
        guard fields.count > 20, let state = fields[0].first, let threads = Double(fields[17]),
            let addressSpace = Double(fields[20])
        else { return nil }
        self.state = state
        self.threads = threads
        self.addressSpace = addressSpace
    }

    /// The name under which a process in this state is counted.
    var stateName: String {
        switch state {
        case "R": "process_running"
        case "T", "t": "process_stopped"
        case "Z", "X", "x": "process_zombie"
        default: "process_sleeping"
        }
    }
}
