import Sandbox

extension ExitRecord {
    /// The whole entries at the beginning of an `exits` file.
    static func decode(_ bytes: [UInt8]) -> [ExitRecord] {
        var records: [ExitRecord] = []
        var offset = 0
        while offset + ExitRecord.size <= bytes.count,
            let record = ExitRecord(entry: bytes[offset..<offset + ExitRecord.size])
        {
            records.append(record)
            offset += ExitRecord.size
        }
        return records
    }
}
