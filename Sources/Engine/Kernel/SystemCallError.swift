import Glibc

/// A system call that failed: what was being done, and the kernel's error number.
public struct SystemCallError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done, in the words of the call: `open index.3`.
    public let operation: String
    /// The error number (errno(3)).
    public let code: Int32

    /// The failure of `operation` with the error number `code`.
    public init(_ operation: String, code: Int32) {
        self.operation = operation
        self.code = code
    }

    /// The failure of `operation` with the calling thread's `errno`.
    public static func current(_ operation: String) -> SystemCallError {
        SystemCallError(operation, code: errno)
    }

    public var description: String { "\(operation): \(SystemCallError.message(for: code))" }

    /// The C library's text for an error number.
    public static func message(for code: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        return buffer.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress, strerror_r(code, base, buffer.count) == 0 else {
                return "error \(code)"
            }
            return String(cString: base)
        }
    }
}

/// The value of a call that returns `-errno` on failure, as those of CLinux do.
@discardableResult
public func check<Value: BinaryInteger>(
    _ value: Value, _ operation: @autoclosure () -> String
) throws(SystemCallError) -> Value {
    guard value >= 0 else { throw SystemCallError(operation(), code: Int32(truncatingIfNeeded: 0 - value)) }
    return value
}

/// The value of a call that returns −1 and sets `errno` on failure; repeated while it is interrupted.
@discardableResult
public func retrying<Value: BinaryInteger>(
    _ operation: @autoclosure () -> String, _ call: () -> Value
) throws(SystemCallError) -> Value {
    while true {
        let value = call()
        if value >= 0 { return value }
        let code = errno
        if code != EINTR { throw SystemCallError(operation(), code: code) }
    }
}
