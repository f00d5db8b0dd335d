import JobletAPI

extension Joblet_Ext_StorageStats {
    /// The answer of `storage stats`, for people.
    var text: String {
        var lines = ["Node:    \(nodeID.printable)"]
        lines.append("Logs:    \(logs.summary(entries: "lines", showsBytes: true))")
        lines.append("Metrics: \(metrics.summary(entries: "samples", showsBytes: false))")
        let records = recordsProblem.isEmpty ? [] : ["PROBLEM: \(recordsProblem.printable)"]
        lines.append("Records: \((["\(jobRecords)"] + records).joined(separator: ", "))")
        lines.append(
            "Waiting: \(QuantityText.bytes(Double(outboxBytes))) of \(QuantityText.bytes(Double(outboxLimitBytes))) in "
                + "the outbox, \(waitingRecords) changes of records, \(QuantityText.bytes(Double(outboxFreeBytes))) free "
                + "on its disk")
        for job in full {
            lines.append("  \(job.uuid.printable)  FULL at \(QuantityText.bytes(Double(job.bytes)))")
        }
        if !largest.isEmpty {
            lines += ["", "The largest:"]
            for job in largest {
                lines.append(
                    "  \(job.uuid.printable)  \(QuantityText.bytes(Double(job.storedBytes))) stored, "
                        + "\(QuantityText.bytes(Double(job.logBytes))) in \(job.lines) lines, \(job.samples) samples")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// The answer as JSON; times are RFC 3339, absent where there is nothing.
    var json: JSON {
        var object = JSONObject()
        object.set("node_id", .string(nodeID))
        object.set("logs", logs.json(entries: "lines", showsBytes: true))
        object.set("metrics", metrics.json(entries: "samples", showsBytes: false))
        object.set("job_records", .integer(jobRecords))
        object.setIfAny("records_problem", recordsProblem)
        object.set("waiting_records", .integer(waitingRecords))
        object.set("outbox_bytes", .integer(outboxBytes))
        object.set("outbox_limit_bytes", .integer(outboxLimitBytes))
        object.set("outbox_free_bytes", .integer(outboxFreeBytes))
        object.set(
            "full",
            .array(
                full.map { job in
                    var object = JSONObject()
                    object.set("uuid", .string(job.uuid))
                    object.set("bytes", .integer(job.bytes))
                    return object.json
                }))
        object.set(
            "largest",
            .array(
                largest.map { job in
                    var object = JSONObject()
                    object.set("uuid", .string(job.uuid))
                    object.set("bytes", .integer(job.logBytes))
                    object.set("lines", .integer(job.lines))
                    object.set("samples", .integer(job.samples))
                    object.set("stored_bytes", .integer(job.storedBytes))
                    return object.json
                }))
        return object.json
    }
}

extension Joblet_Ext_StoreStats {
    /// How many times smaller the store keeps its output; nil where that says nothing.
    private var ratio: Double? {
        bytes > 0 && storedBytes > 0 ? Double(bytes) / Double(storedBytes) : nil
    }

    func summary(entries name: String, showsBytes: Bool) -> String {
        var parts = ["\(jobs) jobs", "\(entries) \(name)"]
        if showsBytes { parts.append("\(QuantityText.bytes(Double(bytes))) of output") }
        // Of a few small jobs what is stored may be more.
        let times =
            ratio.flatMap { $0 < 1 ? nil : $0 }.map { ", \(Int($0 * 10) / 10).\(Int($0 * 10) % 10) times smaller" }
            ?? ""
        parts.append("\(QuantityText.bytes(Double(storedBytes))) stored\(showsBytes ? times : "")")
        if oldest != 0 { parts.append("oldest \(TimeText.rfc3339Seconds(oldest))") }
        if damagedJobs > 0 { parts.append("\(damagedJobs) jobs DAMAGED") }
        if !problem.isEmpty { parts.append("PROBLEM: \(problem.printable)") }
        return parts.joined(separator: ", ")
    }

    func json(entries name: String, showsBytes: Bool) -> JSON {
        var object = JSONObject()
        object.set("jobs", .integer(jobs))
        if showsBytes { object.set("bytes", .integer(bytes)) }
        object.set(name, .integer(entries))
        object.set("stored_bytes", .integer(storedBytes))
        if showsBytes, let ratio { object.set("ratio", .number((ratio * 100).rounded() / 100)) }
        if oldest != 0 { object.set("oldest", .string(TimeText.rfc3339(oldest))) }
        object.set("damaged_jobs", .integer(damagedJobs))
        object.setIfAny("problem", problem)
        return object.json
    }
}
