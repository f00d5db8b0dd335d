/// A checksum of what was read of a log: its bytes with their streams, positions and times, however they were cut
/// into fragments and pages.
///
/// Finds accidents, not forgeries. Gap notes are counted and are no part of the checksum.
public struct LogDigest: Sendable {
    /// Bytes that were added.
    public private(set) var bytes: UInt64 = 0
    /// Newline characters among them.
    public private(set) var lines: UInt64 = 0
    /// Gap notes that were added, and the bytes that they say are missing.
    public private(set) var notes: UInt64 = 0
    public private(set) var droppedBytes: UInt64 = 0

    private var stdout = ByteHash()
    private var stderr = ByteHash()
    private var structure = ByteHash()
    private var open: Fragment?

    /// The checksum of nothing.
    public init() {}

    /// Adds the next fragment and its bytes.
    public mutating func add(_ fragment: Fragment, _ source: ArraySlice<UInt8>) {
        if case .dropped(let count) = fragment.content {
            notes += 1
            droppedBytes = droppedBytes.addingReportingOverflow(count).partialValue
            return
        }
        source.withUnsafeBytes { buffer in
            if fragment.stream == .stdout { stdout.add(buffer) } else { stderr.add(buffer) }
            for byte in buffer where byte == UInt8(ascii: "\n") { lines += 1 }
        }
        bytes += UInt64(fragment.count)
        if let last = open, last.end == fragment.position, last.stream == fragment.stream, last.time == fragment.time {
            open?.content = .bytes(count: last.count + fragment.count)
        } else {
            close()
            open = fragment
        }
    }

    /// Adds a page.
    public mutating func add(_ page: LogPage) {
        page.forEach { add($0, $1) }
    }

    /// The checksum of what was added.
    public var value: UInt64 {
        var whole = self
        whole.close()
        whole.structure.add(whole.stdout.value)
        whole.structure.add(whole.stderr.value)
        return whole.structure.value
    }

    private mutating func close() {
        guard let fragment = open else { return }
        structure.add(UInt64(fragment.stream.rawValue))
        structure.add(fragment.position)
        structure.add(UInt64(bitPattern: fragment.time))
        structure.add(UInt64(fragment.count))
        open = nil
    }
}

/// A 64-bit checksum over a stream of bytes, eight at a time.
private struct ByteHash {
    private var hash: UInt64 = 0x9e37_79b9_7f4a_7c15
    private var word: UInt64 = 0
    private var count: UInt64 = 0

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var offset = 0
        while count & 7 != 0, offset < bytes.count {
            add(bytes[offset])
            offset += 1
        }
        while bytes.count - offset >= 8 {
            mix(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
            count += 8
        }
        while offset < bytes.count {
            add(bytes[offset])
            offset += 1
        }
    }

    mutating func add(_ value: UInt64) {
        withUnsafeBytes(of: value.littleEndian) { add($0) }
    }

    var value: UInt64 {
        var last = self
        last.mix(word)
        last.mix(count)
        return last.hash ^ last.hash >> 32
    }

    private mutating func add(_ byte: UInt8) {
        word |= UInt64(byte) << ((count & 7) * 8)
        count += 1
        guard count & 7 == 0 else { return }
        mix(word)
        word = 0
    }

    private mutating func mix(_ value: UInt64) {
        let product = (hash ^ value).multipliedFullWidth(by: 0xa076_1d64_78bd_642f)
        hash = product.high ^ product.low &+ 0xe703_7ed1_a0b4_28db
    }
}
