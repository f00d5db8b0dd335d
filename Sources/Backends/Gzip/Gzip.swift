import CGzip

/// Compresses buffers into independent gzip members and back, over ISA-L or zlib.
///
/// Keeps the libraries' buffers (about half a megabyte once used) from call to call, so one value
/// serves one actor or one thread.
package struct Gzip: ~Copyable {
    /// A member without any text.
    package static let emptyMember: [UInt8] = [
        0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff,  // header
        3, 0,  // an empty block
        0, 0, 0, 0, 0, 0, 0, 0,  // checksum and length
    ]

    /// Why a member could not be inflated.
    package enum Failure: Error, Equatable {
        /// Not exactly one whole member, or its checksum or length does not match.
        case damaged
        /// The text is longer than the bound.
        case tooLong
    }

    private let context: OpaquePointer

    /// A codec; its buffers come with the first use.
    package init() {
        guard let context = joblet_gzip_create() else { preconditionFailure("out of memory") }
        self.context = context
    }

    deinit {
        joblet_gzip_destroy(context)
    }

    /// Replaces the content of `target` by one member that holds `source`, at most 1 GiB.
    package borrowing func compress(_ source: UnsafeRawBufferPointer, into target: inout [UInt8]) {
        precondition(source.count <= 1 << 30, "a member of \(source.count) bytes")
        let bound = joblet_gzip_bound(source.count)
        target.removeAll(keepingCapacity: true)
        target.append(addingCapacity: bound) { span in
            span.withUnsafeMutableBufferPointer { buffer, initialized in
                guard let address = buffer.baseAddress else { return }
                let length = joblet_gzip_compress(context, source.baseAddress, source.count, address, buffer.count)
                precondition(length > 0, "compression of \(source.count) bytes failed: \(length)")
                initialized = Int(length)
            }
        }
    }

    /// Writes the text of the one member that fills `member` to `target`; returns its length.
    package borrowing func inflate(
        _ member: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) throws(Failure) -> Int {
        guard let source = member.baseAddress, let address = target.baseAddress else { throw .damaged }
        let length = joblet_gzip_inflate(context, source, member.count, address, target.count)
        switch length {
        case Int64(JOBLET_GZIP_NO_ROOM): throw .tooLong
        case Int64(JOBLET_GZIP_NO_MEMORY): preconditionFailure("out of memory")
        case ..<0: throw .damaged
        default: return Int(length)
        }
    }
}

/// The CRC-32 of gzip over `bytes`; `crc` is that of the bytes before them.
package func crc32(_ bytes: UnsafeRawBufferPointer, after crc: UInt32 = 0) -> UInt32 {
    joblet_crc32(crc, bytes.baseAddress, bytes.count)
}

/// How many newline characters `bytes` holds.
package func newlines(in bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes { joblet_count_byte(UInt8(ascii: "\n"), $0.baseAddress, $0.count) }
}
