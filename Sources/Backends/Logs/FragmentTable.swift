package import Storage

/// The fragments of a block as bytes.
///
/// Each entry is a byte of flags (1: stderr, 2: gap note), a varint (the number of bytes, or of bytes
/// dropped) and a varint (the time since the entry before, zigzag; the first since the block's earliest).
package enum FragmentTable {
    /// The most bytes that a gap note adds to a table.
    package static let noteSize: UInt64 = 21

    /// The table of a block's fragments.
    package static func encode(_ fragments: [Fragment], earliest: Int64) -> [UInt8] {
        var writer = ByteWriter(capacity: fragments.count * 8)
        var time = earliest
        for fragment in fragments {
            let stream: UInt8 = fragment.stream == .stderr ? 1 : 0
            switch fragment.content {
            case .bytes(let count):
                writer.write(stream)
                writer.writeVarint(UInt64(count))
            case .dropped(let count):
                writer.write(stream | 2)
                writer.writeVarint(count)
            }
            let delta = fragment.time &- time
            writer.writeVarint(UInt64(bitPattern: (delta << 1) ^ (delta >> 63)))
            time = fragment.time
        }
        return writer.bytes
    }

    /// The fragments of a table; nil where it does not say what the block's header says.
    package static func decode(_ table: UnsafeRawBufferPointer, of header: BlockHeader) -> [Fragment]? {
        guard table.count == Int(header.tableLength), crc32(table) == header.tableCRC else { return nil }
        var reader = ByteReader(table)
        var fragments: [Fragment] = []
        fragments.reserveCapacity(Int(header.fragments))
        var time = header.times.lowerBound
        var place = header.start
        var rest = [UInt64(header.stdout.length), UInt64(header.stderr.length)]
        while !reader.isAtEnd {
            guard let flags = reader.read(UInt8.self), flags < 4, let count = reader.readVarint(),
                let zigzag = reader.readVarint()
            else { return nil }
            time = time &+ (Int64(bitPattern: zigzag >> 1) ^ -Int64(bitPattern: zigzag & 1))
            guard header.times.contains(time) else { return nil }
            let content: Fragment.Content
            if flags & 2 != 0 {
                content = .dropped(bytes: count)
            } else {
                let stream = Int(flags & 1)
                guard count > 0, count <= rest[stream] else { return nil }
                rest[stream] -= count
                content = .bytes(count: Int(count))
            }
            let stream: LogStream = flags & 1 == 0 ? .stdout : .stderr
            let fragment = Fragment(stream: stream, position: place.position, time: time, content: content)
            fragments.append(fragment)
            place =
                fragment.count > 0
                ? LogCursor(position: fragment.end) : LogCursor(position: place.position, gaps: place.gaps + 1)
        }
        guard fragments.count == Int(header.fragments), rest == [0, 0], place == header.end else { return nil }
        return fragments
    }
}
