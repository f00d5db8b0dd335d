import JobletAPI

/// The answer of `job list`.
struct JobList {
    private let jobs: [Joblet_Job]
    private let palette: Palette

    init(_ jobs: [Joblet_Job], _ palette: Palette) {
        self.jobs = jobs
        self.palette = palette
    }

    /// One line for each job.
    var lines: String {
        guard !jobs.isEmpty else { return Self.none }
        return jobs.reduce(into: "") { text, job in
            text += "\(job.uuid.printable) \(palette.status(job.status)) "
            text += "StartTime: \(job.shownTime) Command: \(job.shownCommand)\n"
        }
    }

    /// Columns under a header.
    var table: String {
        guard !jobs.isEmpty else { return Self.none }
        let header = ["ID", "NAME", "NODE ID", "STATUS", "START TIME", "COMMAND"]
        let rows =
            [header]
            + jobs.map { job in
                [
                    job.uuid, job.name.printable.dashIfEmpty, job.nodeID.printable.dashIfEmpty, job.status.printable,
                    TimeText.table(job.startTime.isEmpty ? job.scheduledTime : job.startTime), job.shownCommand,
                ]
            }
        let limits = [38, 25, 38, Int.max, 21, Int.max]
        let widths = header.indices.map { column in
            let longest = rows.lazy.map { $0[column].count }.max() ?? 0
            return min(longest + 2, limits[column])
        }
        let rule = String(repeating: "-", count: widths.dropLast().reduce(0, +) + 80)
        return rows.enumerated().reduce(into: "") { text, row in
            for (column, cell) in row.element.enumerated() {
                let isStatus = row.offset > 0 && column == 3
                text += isStatus ? palette.status(cell) : cell
                guard column < header.count - 1 else { break }
                text += String(repeating: " ", count: max(1, widths[column] - cell.count))
            }
            text += row.offset == 0 ? "\n\(rule)\n" : "\n"
        }
    }

    var json: JSON { .array(jobs.map(\.json)) }

    private static let none = "No jobs found\n"
}

extension Joblet_Job {
    fileprivate var shownTime: String {
        if !startTime.isEmpty { return startTime.printable }
        return scheduledTime.isEmpty ? "N/A" : scheduledTime.printable
    }

    fileprivate var shownCommand: String { commandLine(command, args).shortened(to: 80) }

    fileprivate var json: JSON {
        var object = JSONObject()
        object.set("id", .string(uuid))
        object.setIfAny("name", name)
        object.setIfAny("node_id", nodeID)
        object.set("status", .string(status))
        object.set("start_time", .string(startTime))
        object.setIfAny("end_time", endTime)
        object.set("command", .string(command))
        if !args.isEmpty { object.set("args", .strings(args)) }
        object.setIfAny("exit_code", exitCode)
        object.setIfAny("max_cpu", maxCpu)
        object.setIfAny("max_memory", maxMemory)
        object.setIfAny("max_iobps", maxIobps)
        object.setIfAny("cpu_cores", cpuCores)
        object.setIfAny("scheduled_time", scheduledTime)
        object.setIfAny("reason", reason)
        object.setIfAny("signal", signal)
        if !labels.isEmpty { object.set("labels", .map(labels)) }
        return object.json
    }
}

/// A command with its arguments, joined by spaces.
func commandLine(_ command: String, _ arguments: [String]) -> String {
    ([command] + arguments).joined(separator: " ")
}

extension String {
    /// The first line, with `...` where something was cut off.
    func shortened(to limit: Int) -> String {
        let first = prefix { !$0.isNewline }
        let cut = first.prefix(limit)
        let isWhole = cut.endIndex == endIndex
        if isWhole { return String(cut).printable }
        return String(first.prefix(limit - 3)).printable + "..."
    }

    fileprivate var dashIfEmpty: String { isEmpty ? "-" : self }
}
