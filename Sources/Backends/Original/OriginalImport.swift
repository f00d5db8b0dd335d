public import Storage

/// Reads directories that the original system wrote and appends what they hold to any store.
///
/// Logs are `<directory>/<job>/stdout.log.gz` and `stderr.log.gz`, metrics `<directory>/<job>/*.jsonl.gz`: gzip
/// members of JSON lines. Times of metrics, which the original wrote as seconds into a field of nanoseconds, are
/// corrected. Importing again adds what came since; the source is never changed.
public struct OriginalImport: Sendable {
    /// What an import did.
    public struct Report: Sendable, Equatable {
        /// Jobs that were imported.
        public var jobs = 0
        /// Bytes of output, or samples, that were read.
        public var units: UInt64 = 0
        /// Lines that could not be decoded, and places where a file is damaged; the rest was imported.
        public var badLines = 0
        public var damages = 0
        /// Directories whose names are not job ids.
        public var skipped: [String] = []
        /// Jobs that could not be imported.
        public var failures: [CopyReport.Failure] = []

        /// Nothing was done.
        public init() {}
    }

    private static let runBytes = 1 << 20
    private static let runSamples = 500

    private let directory: String

    /// An import of the jobs below `directory`.
    public init(directory: String) {
        self.directory = directory
    }

    /// Appends every job's log to `store`. A job that fails is counted, and the import goes on.
    public func logs(
        into store: any LogStore, progress: @Sendable (CopyProgress) -> Void = { _ in }
    ) async throws(StorageError) -> Report {
        try await importAll(progress) { (job, path, report) async throws(StorageError) in
            try await importLog(of: job, path, into: store, &report)
        }
    }

    /// Appends every job's samples to `store`. A job that fails is counted, and the import goes on.
    public func metrics(
        into store: any MetricStore, progress: @Sendable (CopyProgress) -> Void = { _ in }
    ) async throws(StorageError) -> Report {
        try await importAll(progress) { (job, path, report) async throws(StorageError) in
            try await importMetrics(of: job, path, into: store, &report)
        }
    }

    private func importAll(
        _ progress: (CopyProgress) -> Void,
        _ body: (JobID, String, inout Report) async throws(StorageError) -> Bool
    ) async throws(StorageError) -> Report {
        var report = Report()
        var state = CopyProgress()
        let names = try Directory.names(in: directory).sorted()
        state.totalJobs = names.count
        for name in names {
            if Task.isCancelled { throw .cancelled }
            state.jobs += 1
            // The original named directories by ids in either case, and checked nothing.
            guard let job = JobID(name) else {
                report.skipped.append(name)
                continue
            }
            do throws(StorageError) {
                if try await body(job, "\(directory)/\(name)", &report) { report.jobs += 1 }
            } catch {
                if error == .cancelled { throw error }
                report.failures.append(CopyReport.Failure(job: job, error: error))
            }
            state.units = report.units
            state.totalUnits = report.units
            progress(state)
        }
        return report
    }

    private func importLog(
        of job: JobID, _ path: String, into store: any LogStore, _ report: inout Report
    ) async throws(StorageError) -> Bool {
        let lines = try OriginalLogMerge(directory: path)
        var run = FragmentRun(start: 0)
        var time = Int64.min
        var isEmpty = true
        while let line = try lines.next() {
            isEmpty = false
            // Times were whole seconds, and a clock may have been set back.
            time = max(time, line.time)
            run.append(stream: line.stream, time: time, bytes: line.content)
            report.units += UInt64(line.content.count)
            guard run.bytes.count >= Self.runBytes else { continue }
            try await store.append(run, to: job)
            run = FragmentRun(start: run.end)
        }
        let problems = lines.problems
        report.badLines += problems.badLines
        report.damages += problems.damages
        guard !isEmpty else { return false }
        try await store.append(run, to: job)
        _ = try await store.sync([job])
        try await store.finish(job)
        return true
    }

    private func importMetrics(
        of job: JobID, _ path: String, into store: any MetricStore, _ report: inout Report
    ) async throws(StorageError) -> Bool {
        var importing = MetricImport(job: job, store: store)
        // Names are times, so their order is that of time; the one file of older versions comes last.
        for name in try Directory.names(in: path).sorted() where name.hasSuffix(".jsonl.gz") {
            var file = try OriginalFile<OriginalMetricLine>("\(path)/\(name)")
            while let line = try file.next() {
                try await importing.add(line)
            }
            report.badLines += file.badLines
            report.damages += file.damages
        }
        let count = try await importing.close()
        report.units += count
        return count > 0
    }

    /// Gathers lines into samples: those of one time that are of different types are one.
    private struct MetricImport {
        let job: JobID
        let store: any MetricStore
        private var waiting: [MetricSample] = []
        private var next: UInt64 = 0

        init(job: JobID, store: any MetricStore) {
            self.job = job
            self.store = store
        }

        mutating func add(_ line: OriginalMetricLine) async throws(StorageError) {
            guard !line.points.isEmpty else { return }
            if let last = waiting.last, last.time == line.time,
                !last.points.contains(where: { point in line.points.contains { $0.type == point.type } })
            {
                waiting[waiting.count - 1].points += line.points
                return
            }
            // The last one may still grow.
            if waiting.count > OriginalImport.runSamples {
                let last = waiting.removeLast()
                try await store.append(waiting, to: job)
                waiting = [last]
            }
            let time = max(line.time, waiting.last?.time ?? line.time)
            waiting.append(MetricSample(sequence: next, time: time, points: line.points))
            next += 1
        }

        mutating func close() async throws(StorageError) -> UInt64 {
            guard !waiting.isEmpty else { return 0 }
            try await store.append(waiting, to: job)
            _ = try await store.sync([job])
            try await store.finish(job)
            return next
        }
    }
}
