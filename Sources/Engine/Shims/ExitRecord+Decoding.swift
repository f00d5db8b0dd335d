import Sandbox

extension ExitRecord {
    /// The whole entries of an `exits` file; one that is damaged costs no other.
    static func decode(_ bytes: [UInt8]) -> [ExitRecord] {
        stride(from: 0, to: bytes.count, by: ExitRecord.size).compactMap { start in
            ExitRecord(entry: bytes[start..<min(start + ExitRecord.size, bytes.count)])
        }
    }
}
