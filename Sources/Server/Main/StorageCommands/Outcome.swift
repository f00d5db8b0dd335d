import ArgumentParser
public import LocalStores
public import Storage

/// Tells how commands ended that go on where a job fails.
public enum Outcome {
    /// Prints what a copy did, its failures to standard error; whether there were none.
    public static func tell(_ report: CopyReport, of what: String, to place: String, copied: String) -> Bool {
        for failure in report.failures { StandardError.write("\(what) of \(failure.job): \(failure.error)") }
        print("\(what): \(Show.count(report.jobs, "job")) verified in \(place), \(copied) copied")
        return report.failures.isEmpty
    }

    /// Prints where databases were copied to; throws `ExitCode` where there was none, as `problem` says.
    public static func tell(_ copied: [LocalStores.Backup], orElse problem: String) throws {
        guard !copied.isEmpty else {
            StandardError.write("Error: \(problem); use copy")
            throw ExitCode(1)
        }
        for backup in copied { print("\(backup.store): \(backup.path)") }
    }

    /// Prints failures of `what` to standard error; whether there were none.
    public static func tell(_ failures: [RetentionReport.Failure], of what: String) -> Bool {
        for failure in failures { StandardError.write("\(what) of \(failure.job): \(failure.error)") }
        return failures.isEmpty
    }
}
