package import Storage

/// A block in the form in which it is kept: the record of its header and fragment table, and its members.
package struct StoredBlock {
    package private(set) var header: BlockHeader
    package private(set) var table: [UInt8]
    /// The members; empty where the block has no bytes of the stream.
    private(set) var stdout: [UInt8]
    private(set) var stderr: [UInt8]

    /// A block whose parts fit each other.
    package init(header: BlockHeader, table: [UInt8], stdout: [UInt8], stderr: [UInt8]) {
        self.header = header
        self.table = table
        self.stdout = stdout
        self.stderr = stderr
    }

    /// The record's bytes.
    var record: [UInt8] { header.encoded() + table }

    /// Bytes of the record and the members.
    var size: UInt64 { header.recordLength + UInt64(stdout.count) + UInt64(stderr.count) }

    /// A stream's member.
    func member(of stream: LogStream) -> [UInt8] {
        stream == .stdout ? stdout : stderr
    }

    /// Says where the members are.
    mutating func move(stdout: UInt64, stderr: UInt64) {
        header.stdout.offset = stdout
        header.stderr.offset = stderr
    }

    /// Puts a note of `lost` bytes before everything in the block.
    ///
    /// It takes the number of a gap note that stood there and is lost too, if there was one. A block without
    /// bytes cannot be told apart from the place before it then, and must not be given one.
    package mutating func prepend(lost: UInt64, to fragments: [Fragment]) {
        guard let first = fragments.first else { return }
        let note = Fragment(
            stream: .stdout, position: header.start.position, time: first.time, content: .dropped(bytes: lost))
        header.start.gaps = max(0, header.start.gaps - 1)
        let all = [note] + fragments
        table = FragmentTable.encode(all, earliest: header.times.lowerBound)
        header.fragments = UInt32(all.count)
        header.hasStdout = true
        header.tableLength = UInt32(table.count)
        header.tableCRC = table.withUnsafeBytes { crc32($0) }
    }
}

extension BlockedLog {
    /// A block as it is stored; nothing is checked.
    func stored(_ block: LogIndex.Block) throws(StorageError) -> StoredBlock {
        StoredBlock(
            header: block.header, table: try table(of: block), stdout: try member(of: .stdout, in: block),
            stderr: try member(of: .stderr, in: block))
    }
}
