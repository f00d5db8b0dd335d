public import Storage

/// Tells how commands ended that go on where a job fails.
public enum Outcome {
    /// Prints what a copy did, its failures to standard error; whether there were none.
    public static func tell(_ report: CopyReport, of what: String, to place: String, copied: String) -> Bool {
        for failure in report.failures { StandardError.write("\(what) of \(failure.job): \(failure.error)") }
        print("\(what): \(Show.count(report.jobs, "job")) verified in \(place), \(copied) copied")
        return report.failures.isEmpty
    }

    /// Prints failures of `what` to standard error; whether there were none.
    public static func tell(_ failures: [RetentionReport.Failure], of what: String) -> Bool {
        for failure in failures { StandardError.write("\(what) of \(failure.job): \(failure.error)") }
        return failures.isEmpty
    }
}
