/// `NAME=value` of `--env`, `--secret-env` and `--label`.
struct Assignment: Equatable {
    static let maximumValueBytes = 32768

    let name: String
    let value: String

    /// Splits at the first `=`. Throws the text that tells the user what is wrong.
    init(_ text: String) throws(Failure) {
        guard let separator = text.firstIndex(of: "=") else {
            throw Failure(.usage, "invalid environment variable format: \(text) (expected KEY=VALUE)")
        }
        name = String(text[..<separator])
        value = String(text[text.index(after: separator)...])
    }

    /// Reads an environment variable.
    static func variable(_ text: String) throws(Failure) -> Assignment {
        let variable = try Assignment(text)
        guard let first = variable.name.utf8.first else {
            throw Failure(.usage, "environment variable key cannot be empty")
        }
        guard !isDigit(first), variable.name.utf8.allSatisfy({ isLetter($0) || isDigit($0) }) else {
            throw Failure(
                .usage,
                """
                invalid environment variable name '\(variable.name)': must start with letter or underscore and \
                contain only letters, numbers, and underscores
                """)
        }
        let bytes = variable.value.utf8.count
        guard bytes <= maximumValueBytes else {
            throw Failure(.usage, "value is too long (\(bytes) bytes, max \(maximumValueBytes))")
        }
        return variable
    }

    /// Reads a label, whose name may be any text.
    static func label(_ text: String) throws(Failure) -> Assignment {
        guard text.contains("="), text.first != "=" else {
            throw Failure(.usage, "invalid label format: \(text) (expected KEY=VALUE)")
        }
        return try Assignment(text)
    }

    /// Whether the server or the sandbox sets this variable itself.
    var isReserved: Bool { Self.reserved.contains(name) }

    private static let reserved: Set<String> = [
        "PATH", "HOME", "USER", "SHELL", "TERM", "PWD", "OLDPWD", "HOSTNAME", "LANG", "LC_ALL", "JOBLET_JOB_ID",
        "JOBLET_WORKFLOW_ID", "JOBLET_RUNTIME", "JOBLET_VOLUME_PATH",
    ]

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) || byte == 0x5F }
}
