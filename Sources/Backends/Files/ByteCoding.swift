/// Appends integers to a buffer, little endian.
package struct ByteWriter {
    /// What was written.
    package private(set) var bytes: [UInt8] = []

    /// An empty buffer with room for `capacity` bytes.
    package init(capacity: Int = 0) {
        bytes.reserveCapacity(capacity)
    }

    /// Adds the bytes of an integer.
    package mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    /// Adds bytes as they are.
    package mutating func write(_ source: [UInt8]) {
        bytes += source
    }

    /// Adds an unsigned integer, seven bits a byte, low bits first, the high bit set in all but the last.
    package mutating func writeVarint(_ value: UInt64) {
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: value))
    }
}

/// Takes integers from a buffer, little endian; nil once the buffer is too short or ill-formed.
package struct ByteReader {
    private let buffer: UnsafeRawBufferPointer
    private var offset = 0

    /// A reader of `buffer`, which must outlive it.
    package init(_ buffer: UnsafeRawBufferPointer) {
        self.buffer = buffer
    }

    /// Whether everything was taken.
    package var isAtEnd: Bool { offset == buffer.count }

    /// The next integer.
    package mutating func read<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) -> Value? {
        let size = MemoryLayout<Value>.size
        guard buffer.count - offset >= size else { return nil }
        defer { offset += size }
        return Value(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: type))
    }

    /// The next integer in the form of `ByteWriter.writeVarint`, at most ten bytes.
    package mutating func readVarint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 70, offset < buffer.count {
            let byte = buffer[offset]
            offset += 1
            let bits = UInt64(byte & 0x7f)
            if shift == 63, bits > 1 { return nil }
            value |= bits << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
