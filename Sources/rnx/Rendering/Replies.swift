import JobletAPI

extension Joblet_StopJobRes {
    func text(_ palette: Palette) -> String {
        """
        Job stopped successfully:
        ID: \(uuid)
        Status: \(palette.status(status))
        ExitCode: \(exitCode)
        EndTime: \(endTime)

        """
    }

    var json: JSON {
        var object = JSONObject()
        object.set("uuid", .string(uuid))
        object.setIfAny("status", status)
        object.setIfAny("endTime", endTime)
        object.setIfAny("exitCode", exitCode)
        object.setIfAny("reason", reason)
        return object.json
    }
}

extension Joblet_CancelJobRes {
    private static let note = "The job stays in the history with the status CANCELED."

    func text(_ palette: Palette) -> String {
        """
        Job canceled successfully:
        ID: \(uuid)
        Status: \(palette.status(status))
        \(canceledAt.isEmpty ? "" : "CanceledAt: \(canceledAt)\n")\(Self.note)

        """
    }

    var json: JSON {
        var object = JSONObject()
        object.set("canceled", .bool(true))
        object.set("job_id", .string(uuid))
        object.set("status", .string(status))
        object.setIfAny("canceled_at", canceledAt)
        object.set("message", .string(Self.note))
        return object.json
    }
}

extension Joblet_DeleteJobRes {
    var text: String {
        let note = message.isEmpty ? "" : "Message: \(message.printable)\n"
        return "Job deleted successfully:\nID: \(uuid)\n" + note
    }

    var json: JSON {
        .object([("uuid", .string(uuid)), ("success", .bool(success)), ("message", .string(message))])
    }
}

extension Joblet_DeleteAllJobsRes {
    var text: String {
        "Successfully deleted \(deletedCount) jobs, skipped \(skippedCount) running/scheduled jobs\n"
    }

    var json: JSON {
        .object([
            ("success", .bool(success)), ("message", .string(message)), ("deleted_count", .integer(deletedCount)),
            ("skipped_count", .integer(skippedCount)),
        ])
    }
}
