/// Builds a message of little-endian integers and length-prefixed byte strings.
///
/// What is generic here and in `ByteReader` can be inlined: other modules would get it unspecialised, and look up types
/// for each integer.
public struct ByteWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8] = []

    /// An empty message.
    public init() {}

    /// Adds an integer, least significant byte first.
    @inlinable
    public mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.littleEndian) { append($0) }
    }

    @usableFromInline
    mutating func append(_ buffer: UnsafeRawBufferPointer) { bytes.append(contentsOf: buffer) }

    /// Adds one byte: 1 or 0.
    public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

    /// Adds a byte string behind its length (32 bits).
    public mutating func write(_ value: some Collection<UInt8>) {
        write(UInt32(value.count))
        bytes.append(contentsOf: value)
    }

    /// Adds a text as UTF-8 behind its length.
    public mutating func write(_ value: String) {
        write(UInt32(value.utf8.count))
        bytes.append(contentsOf: value.utf8)
    }

    /// Adds a list: its count (32 bits), then each element.
    @inlinable
    public mutating func write<Element>(list: [Element], _ body: (inout ByteWriter, Element) -> Void) {
        write(UInt32(list.count))
        for element in list { body(&self, element) }
    }
}

/// A message that ends early, is too long, or holds a value that is not allowed.
public struct MalformedMessage: Error, Hashable, Sendable {
    /// What was expected.
    public let expected: String

    /// A message in which `expected` was not found.
    public init(_ expected: String) {
        self.expected = expected
    }
}

/// Reads what `ByteWriter` wrote; every read is checked, no length is believed before it is.
public struct ByteReader: Sendable {
    @usableFromInline let bytes: ArraySlice<UInt8>
    @usableFromInline var offset: Int

    /// A reader of `bytes` from the beginning.
    public init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        offset = bytes.startIndex
    }

    /// A reader of `bytes` from the beginning.
    public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    /// The number of bytes that were not read yet.
    @inlinable public var remaining: Int { bytes.endIndex - offset }

    /// Reads an integer.
    @inlinable
    public mutating func read<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type
    ) throws(MalformedMessage) -> Value {
        let size = MemoryLayout<Value>.size
        guard remaining >= size else { throw MalformedMessage("an integer of \(size) bytes") }
        let start = offset - bytes.startIndex
        offset += size
        return Value(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: Value.self) })
    }

    /// Reads a byte that must be 0 or 1.
    public mutating func readBool() throws(MalformedMessage) -> Bool {
        switch try read(UInt8.self) {
        case 0: false
        case 1: true
        default: throw MalformedMessage("0 or 1")
        }
    }

    /// Reads a byte string.
    public mutating func readBytes() throws(MalformedMessage) -> ArraySlice<UInt8> {
        let count = Int(try read(UInt32.self))
        guard count <= remaining else { throw MalformedMessage("\(count) bytes") }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    /// Reads a text, which must be UTF-8 without NUL.
    public mutating func readString() throws(MalformedMessage) -> String {
        let raw = try readBytes()
        guard !raw.contains(0), let text = String(validating: raw, as: UTF8.self) else {
            throw MalformedMessage("UTF-8 text")
        }
        return text
    }

    /// Reads a list whose elements take at least one byte each.
    @inlinable
    public mutating func readList<Element>(
        _ body: (inout ByteReader) throws(MalformedMessage) -> Element
    ) throws(MalformedMessage) -> [Element] {
        let count = Int(try read(UInt32.self))
        guard count <= remaining else { throw MalformedMessage("a list of \(count)") }
        var list: [Element] = []
        for _ in 0..<count { list.append(try body(&self)) }
        return list
    }

    /// Checks that nothing is left.
    public func finish() throws(MalformedMessage) {
        guard remaining == 0 else { throw MalformedMessage("the end of the message") }
    }
}
