import Glibc

/// A text that lines are searched for: exactly these bytes, as `grep -F` does.
public struct LinePattern: Sendable, Hashable {
    /// The bytes, at least one, none of them a newline.
    public let bytes: [UInt8]

    /// A pattern; nil for no bytes, and for what no line can contain.
    public init?(_ bytes: some Sequence<UInt8>) {
        self.bytes = Array(bytes)
        if self.bytes.isEmpty || self.bytes.contains(UInt8(ascii: "\n")) { return nil }
    }

    /// The pattern of a text in UTF-8.
    public init?(_ text: String) {
        self.init(text.utf8)
    }

    /// Where the pattern stands first in `buffer`; nil where it does not.
    func first(in buffer: UnsafeRawBufferPointer) -> Int? {
        guard let start = buffer.baseAddress else { return nil }
        var offset = 0
        while offset + bytes.count <= buffer.count {
            // The C library looks at many bytes at once for the first one, then at the rest.
            guard let found = memchr(start + offset, Int32(bytes[0]), buffer.count - bytes.count - offset + 1)
            else { return nil }
            if memcmp(found, bytes, bytes.count) == 0 { return UnsafeRawPointer(found) - start }
            offset = UnsafeRawPointer(found) - start + 1
        }
        return nil
    }
}
