import ArgumentParser
import Glibc

/// The descriptors 0, 1 and 2.
enum StandardStreams {
    /// Takes those that the caller closed, so that no connection gets their numbers; writing to them still fails.
    static func occupy() {
        var descriptor: Int32
        repeat { descriptor = open("/dev/null", O_RDONLY) } while (0...STDERR_FILENO).contains(descriptor)
        close(descriptor)
    }
}

/// Standard output: bytes as they are, at once.
enum StandardOutput {
    static func write(_ text: String) throws {
        var text = text
        try text.withUTF8 { try write(UnsafeRawBufferPointer($0)) }
    }

    /// Writes all bytes. A reader that has gone ends the program quietly with 0.
    static func write(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32 = STDOUT_FILENO) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count >= 0 {
                rest = rest.dropFirst(count)
                continue
            }
            switch errno {
            case EINTR:
                continue
            case EAGAIN:
                // A terminal that another program made non-blocking.
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&waiting, 1, -1)
            case EPIPE:
                throw ExitCode.success
            default:
                throw Failure(.local, "cannot write to standard output: \(systemText(errno))")
            }
        }
    }
}

/// Standard error: one line per message, never a reason to fail.
enum StandardError {
    static func write(_ line: String) {
        write(bytes: Array((line + "\n").utf8))
    }

    static func write(bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Something that does not end the command.
    static func warn(_ message: String) {
        write("Warning: \(message.printable)")
    }
}

/// The words of the C library for an error number.
func systemText(_ code: Int32) -> String {
    strerror(code).map { String(cString: $0) } ?? "error \(code)"
}

extension String {
    /// The text in one line that cannot steer a terminal: control characters become escapes.
    var printable: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "\n": text += "\\n"
            case "\t": text += "\\t"
            case "\r": text += "\\r"
            case _ where scalar.isControl: text += "\\u{\(String(scalar.value, radix: 16))}"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}

extension Unicode.Scalar {
    /// C0, DEL and C1; the general category would do, but costs a table lookup for every character.
    fileprivate var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }
}
