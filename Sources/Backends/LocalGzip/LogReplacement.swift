import Glibc
import Storage

/// New files of a log beside its old ones, which they replace together.
///
/// Three files cannot be renamed at once. So the new index gets the name `replacement` first: from then on the new
/// files are the log, and whoever opens it next ends the renaming. Before that they are nothing, and are removed.
struct LogReplacement: ~Copyable {
    private let files: LogFiles
    private let stdout: File
    private let stderr: File
    private let index: File
    private var lengths: (stdout: UInt64, stderr: UInt64, index: UInt64)

    /// Begins new files, over those of an attempt that did not come to its end.
    init(of job: JobID, in files: LogFiles) throws(StorageError) {
        // The index is the first one and is removed last: without it there are no others.
        let index = try Self.create(LogFiles.new(files.index))
        let stdout = try Self.create(LogFiles.new(files.data(of: .stdout)))
        let stderr = try Self.create(LogFiles.new(files.data(of: .stderr)))
        let header = LogIndex.header(of: job)
        let empty = Gzip.emptyMember
        try index.write(header, at: 0)
        try stdout.write(empty, at: 0)
        try stderr.write(empty, at: 0)
        self.files = files
        self.index = index
        self.stdout = stdout
        self.stderr = stderr
        lengths = (UInt64(empty.count), UInt64(empty.count), UInt64(header.count))
    }

    /// Adds a block behind those before.
    mutating func add(_ block: StoredBlock) throws(StorageError) {
        var block = block
        block.move(stdout: lengths.stdout, stderr: lengths.stderr)
        try stdout.write(block.stdout, at: lengths.stdout)
        try stderr.write(block.stderr, at: lengths.stderr)
        let record = block.record
        try index.write(record, at: lengths.index)
        lengths.stdout += UInt64(block.stdout.count)
        lengths.stderr += UInt64(block.stderr.count)
        lengths.index += UInt64(record.count)
    }

    /// Makes the new files the log.
    consuming func commit(_ durability: Durability) throws(StorageError) {
        if durability == .power {
            try stdout.synchronize()
            try stderr.synchronize()
            try index.synchronize()
            try Directory.synchronize(files.directory)
        }
        try Directory.rename(LogFiles.new(files.index), to: files.replacement)
        if durability == .power { try Directory.synchronize(files.directory) }
        try files.finishReplacement(durability)
    }

    private static func create(_ path: String) throws(StorageError) -> File {
        guard let file = try File.open(path, O_WRONLY | O_CREAT | O_TRUNC) else {
            throw .unavailable(reason: "\(path) cannot be made")
        }
        return file
    }
}

extension LogFiles {
    /// The name of a file that is going to replace the one at `path`.
    fileprivate static func new(_ path: String) -> String { "\(path).new" }

    /// The new index, once the new files are the log.
    fileprivate var replacement: String { "\(directory)/replacement" }

    /// Ends a replacement that was interrupted, or removes what was not decided.
    func finishReplacement(_ durability: Durability) throws(StorageError) {
        if try File.identity(of: replacement) != nil {
            for stream in LogStream.allCases {
                let new = Self.new(data(of: stream))
                if try File.identity(of: new) != nil { try Directory.rename(new, to: data(of: stream)) }
            }
            // The data files' names are durable before the index that goes with them takes its own.
            if durability == .power { try Directory.synchronize(directory) }
            try Directory.rename(replacement, to: index)
            if durability == .power { try Directory.synchronize(directory) }
        } else if try File.identity(of: Self.new(index)) != nil {
            try removeReplacement()
        }
    }

    /// Removes new files, whatever they are.
    func removeReplacement() throws(StorageError) {
        try Directory.remove(file: replacement)
        for stream in LogStream.allCases { try Directory.remove(file: Self.new(data(of: stream))) }
        try Directory.remove(file: Self.new(index))
    }
}
