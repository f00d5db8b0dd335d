import Kernel

/// The form of records of any length in the daemon's own files: length (32 bits), CRC-32C of what follows, body.
enum RecordFrame {
    private static let headSize = 8

    /// The record with that body.
    static func encode(_ body: [UInt8]) -> [UInt8] {
        var head = ByteWriter()
        head.write(UInt32(body.count))
        head.write(Checksum.crc32c(body))
        return head.bytes + body
    }

    /// The body of the record at the beginning of `bytes` and the record's length; nil where none is whole.
    static func decode(_ bytes: ArraySlice<UInt8>) -> (body: ArraySlice<UInt8>, length: Int)? {
        var head = ByteReader(bytes.prefix(headSize))
        guard let count = (try? head.read(UInt32.self)).map({ Int($0) }), let sum = try? head.read(UInt32.self),
            count <= bytes.count - headSize
        else { return nil }
        let body = bytes.dropFirst(headSize).prefix(count)
        return sum == Checksum.crc32c(body) ? (body, headSize + count) : nil
    }

    /// Where the first record in `bytes` begins for which `isRecord` holds: what lies before is damage.
    static func first(in bytes: ArraySlice<UInt8>, where isRecord: (ArraySlice<UInt8>) -> Bool) -> Int? {
        bytes.indices.first { start in
            // No record is empty; stretches of zeros would look like some.
            guard let (body, _) = decode(bytes[start...]), !body.isEmpty else { return false }
            return isRecord(body)
        }
    }
}
