extension MetricMember {
    /// The members of a file and the stretches between them that are none, and the length up to which that is so.
    ///
    /// What follows the last whole member is not part of the file: a write that did not come to its end.
    static func table(_ bytes: [UInt8]) -> (members: [MetricMember], length: UInt64) {
        var members: [MetricMember] = []
        var offset = 0
        var length = 0
        while offset < bytes.count {
            guard let member = decode(bytes[offset...], at: UInt64(offset)),
                offset + Int(member.length) <= bytes.count
            else {
                // The next header that is whole, where the one here is damaged.
                offset = bytes[(offset + 1)...].firstIndex(of: fixed[0]) ?? bytes.count
                continue
            }
            if offset > length {
                let first = members.last?.end ?? 0
                members.append(
                    MetricMember(
                        offset: UInt64(length), length: UInt32(clamping: offset - length), textLength: 0, first: first,
                        count: UInt32(clamping: member.first > first ? member.first - first : 0),
                        earliest: member.earliest, latest: member.earliest, isDamaged: true))
            }
            members.append(member)
            offset += Int(member.length)
            length = offset
        }
        return (members, UInt64(length))
    }
}
