import GRDB
import Storage

extension Database {
    /// What a row of samples counts: its numbers and the index on time. A point counts its texts and its numbers.
    private static let sampleBytes: UInt64 = 48

    /// A job's number in the tables, and the sequence of its next sample.
    struct Series {
        let number: Int64
        let next: UInt64
    }

    /// What is known of a job; nil where it has no samples.
    func series(of job: JobID) throws -> Series? {
        let row = try Row.fetchOne(
            cachedStatement(sql: "SELECT number, next FROM jobs WHERE id = ?"), arguments: [job.description])
        return try row.map { row in
            Series(number: try row.decode(atIndex: 0), next: UInt64(bitPattern: try row.decode(atIndex: 1)))
        }
    }

    /// What is known of a job to which something is written; throws `refused` where it was deleted.
    func series(for job: JobID) throws -> Series? {
        let deleted = try Int.fetchOne(
            cachedStatement(sql: "SELECT 1 FROM deleted WHERE id = ?"), arguments: [job.description])
        if deleted != nil { throw StorageError.refused(reason: "the samples were deleted") }
        return try series(of: job)
    }

    /// Stores a sample.
    func insert(_ sample: MetricSample, _ job: JobID, _ known: Series?) throws {
        guard let sequence = Int64(exactly: sample.sequence) else {
            throw StorageError.refused(reason: "sequence \(sample.sequence) is out of range")
        }
        let number: Int64
        if let known {
            number = known.number
        } else {
            try cachedStatement(sql: "INSERT INTO jobs (id, next) VALUES (?, 0) ON CONFLICT (id) DO NOTHING")
                .execute(arguments: [job.description])
            number = try series(of: job)?.number ?? lastInsertedRowID
        }
        let texts = sample.points.map { point in
            [
                point.type.rawValue, String(decoding: MetricLines.object(point.labels), as: UTF8.self),
                String(decoding: MetricLines.object(point.values), as: UTF8.self),
            ]
        }
        try cachedStatement(sql: "INSERT INTO samples (job, sequence, time, checksum) VALUES (?, ?, ?, ?)")
            .execute(arguments: [
                number, sequence, sample.time, Database.checksum(of: job, sequence, sample.time, texts),
            ])
        let statement = try cachedStatement(
            sql: "INSERT INTO points (job, sequence, place, metric_type, labels, \"values\") VALUES (?, ?, ?, ?, ?, ?)")
        for (place, texts) in texts.enumerated() {
            try statement.execute(arguments: [number, sequence, place, texts[0], texts[1], texts[2]])
        }
    }

    /// What is kept beside a sample, since SQLite itself does not notice a byte that changed.
    private static func checksum(of job: JobID, _ sequence: Int64, _ time: Int64, _ points: [[String]]) -> Int64 {
        // No text has a null character.
        let text = ([job.description, "\(sequence)", "\(time)"] + points.joined()).joined(separator: "\0")
        return Int64(Array(text.utf8).withUnsafeBytes { crc32($0) })
    }

    /// Moves a job's end forward, or leaves it where it is.
    func setEnd(_ end: UInt64, of job: JobID) throws {
        guard let next = Int64(exactly: end) else {
            throw StorageError.refused(reason: "sequence \(end) is out of range")
        }
        guard next > 0 else { return }
        try cachedStatement(
            sql: """
                INSERT INTO jobs (id, next) VALUES (?, ?)
                ON CONFLICT (id) DO UPDATE SET next = MAX(next, excluded.next)
                """
        ).execute(arguments: [job.description, next])
    }

    /// A page of samples.
    func samples(_ query: MetricQuery, from sequence: UInt64, limit: Int) throws -> MetricPage {
        guard let series = try series(of: query.job), try hasSamples(series.number) else {
            throw StorageError.notFound
        }
        var page = MetricPageBuilder(query, from: sequence, limit: limit)
        let first = try max(Int64(clamping: sequence), firstSequence(series.number, since: query.since))
        let samples = try Row.fetchCursor(
            cachedStatement(
                sql: """
                    SELECT sequence, time, checksum FROM samples
                    WHERE job = ? AND sequence >= ? AND sequence < ? ORDER BY sequence
                    """),
            arguments: [series.number, first, Int64(clamping: query.endSequence ?? .max)])
        let points = try cachedStatement(
            sql: """
                SELECT metric_type, labels, "values" FROM points WHERE job = ? AND sequence = ? ORDER BY place
                """)
        while let row = try samples.next() {
            let number: Int64 = try row.decode(atIndex: 0)
            let time: Int64 = try row.decode(atIndex: 1)
            if page.isPast(time) { break }
            var sample = MetricSample(sequence: UInt64(bitPattern: number), time: time, points: [])
            // Samples that an earlier version of the schema wrote have no checksum.
            let checksum: Int64? = try row.decode(atIndex: 2)
            let rows = try Row.fetchCursor(points, arguments: [series.number, number])
            var texts: [[String]] = []
            while let row = try rows.next() { texts.append(try (0..<3).map { try row.decode(atIndex: $0) }) }
            guard checksum == nil || checksum == Database.checksum(of: query.job, number, time, texts) else {
                throw Database.corrupt(query.job, number)
            }
            sample.points = try texts.map { try point($0, of: query.job, number) }
            if !page.add(sample) { return page.unfinished }
        }
        return page.finished(at: series.next)
    }

    /// The jobs that have samples, ascending.
    func jobsWithSamples(after job: JobID?, limit: Int) throws -> [JobID] {
        let ids = try String.fetchAll(
            cachedStatement(
                sql: """
                    SELECT id FROM jobs
                    WHERE id > ? AND EXISTS (SELECT 1 FROM samples WHERE samples.job = jobs.number)
                    ORDER BY id LIMIT ?
                    """),
            arguments: [job?.description ?? "", max(0, limit)])
        return try ids.map { text in
            guard let id = JobID(text) else { throw StorageError.corrupt(place: "jobs, id \(text)") }
            return id
        }
    }

    /// What is held of a job.
    func metricStatistics(of job: JobID) throws -> MetricStatistics {
        guard let series = try series(of: job) else { throw StorageError.notFound }
        let samples = try Row.fetchOne(
            cachedStatement(sql: "SELECT COUNT(*), MIN(time), MAX(time) FROM samples WHERE job = ?"),
            arguments: [series.number])
        let bytes = try Int64.fetchOne(
            cachedStatement(
                sql: """
                    SELECT SUM(LENGTH(metric_type) + LENGTH(labels) + LENGTH("values") + 16) FROM points WHERE job = ?
                    """),
            arguments: [series.number])
        guard let samples, let count = try samples.decode(Int64?.self, atIndex: 0), count > 0,
            let first = try samples.decode(Int64?.self, atIndex: 1),
            let last = try samples.decode(Int64?.self, atIndex: 2)
        else { throw StorageError.notFound }
        return MetricStatistics(
            samples: UInt64(count), storedBytes: UInt64(max(0, bytes ?? 0)) + Database.sampleBytes * UInt64(count),
            times: first...last)
    }

    /// Removes a job's oldest samples until the rest counts at most `limit` bytes; returns what it counts then.
    func trimSamples(of job: JobID, to limit: UInt64) throws -> UInt64 {
        guard let series = try series(of: job), try hasSamples(series.number) else { throw StorageError.notFound }
        let sizes = try Row.fetchCursor(
            cachedStatement(
                sql: """
                    SELECT sequence, (
                        SELECT SUM(LENGTH(metric_type) + LENGTH(labels) + LENGTH("values") + 16) FROM points
                        WHERE points.job = samples.job AND points.sequence = samples.sequence
                    ) FROM samples WHERE job = ? ORDER BY sequence DESC
                    """),
            arguments: [series.number])
        var kept: UInt64 = 0
        while let row = try sizes.next() {
            let size = kept + UInt64(max(0, try row.decode(Int64?.self, atIndex: 1) ?? 0)) + Database.sampleBytes
            if size > limit {
                let last: Int64 = try row.decode(atIndex: 0)
                for table in ["points", "samples"] {
                    try cachedStatement(sql: "DELETE FROM \(table) WHERE job = ? AND sequence <= ?")
                        .execute(arguments: [series.number, last])
                }
                break
            }
            kept = size
        }
        return kept
    }

    /// Removes a job's samples, and remembers that it was deleted.
    func remove(_ job: JobID) throws {
        if let number = try series(of: job)?.number {
            for table in ["points", "samples"] {
                try cachedStatement(sql: "DELETE FROM \(table) WHERE job = ?").execute(arguments: [number])
            }
            try cachedStatement(sql: "DELETE FROM jobs WHERE number = ?").execute(arguments: [number])
        }
        try cachedStatement(sql: "INSERT INTO deleted (id) VALUES (?) ON CONFLICT (id) DO NOTHING")
            .execute(arguments: [job.description])
    }

    private func hasSamples(_ number: Int64) throws -> Bool {
        try Int.fetchOne(
            cachedStatement(sql: "SELECT 1 FROM samples WHERE job = ? LIMIT 1"), arguments: [number]) != nil
    }

    /// The sequence of the first sample that is not older than `since`; times never go back.
    private func firstSequence(_ number: Int64, since: Int64?) throws -> Int64 {
        guard let since else { return 0 }
        return try Int64.fetchOne(
            cachedStatement(
                sql: "SELECT sequence FROM samples WHERE job = ? AND time >= ? ORDER BY time, sequence LIMIT 1"),
            arguments: [number, since]) ?? .max
    }

    private func point(_ texts: [String], of job: JobID, _ sequence: Int64) throws -> MetricPoint {
        do {
            guard let type = MetricType(rawValue: texts[0]) else { throw MetricLines.Malformed() }
            return MetricPoint(
                type: type, labels: try MetricLines.labels(texts[1]), values: try MetricLines.values(texts[2]))
        } catch {
            throw Database.corrupt(job, sequence)
        }
    }

    private static func corrupt(_ job: JobID, _ sequence: Int64) -> StorageError {
        .corrupt(place: "points, job \(job), sequence \(sequence)")
    }
}
