import Glibc

/// Colours of job states, on terminals whose user has not refused them.
struct Palette {
    let isEnabled: Bool

    static let plain = Palette(isEnabled: false)

    init(isEnabled: Bool) {
        self.isEnabled = isEnabled
    }

    /// Looks at standard output, `NO_COLOR` and `RNX_NO_COLOR`, of which any text that is not empty refuses colours.
    init(_ surroundings: Surroundings, isTerminal: Bool = isatty(STDOUT_FILENO) == 1) {
        let isRefused = ["NO_COLOR", "RNX_NO_COLOR"].contains { surroundings.value($0) != nil }
        isEnabled = isTerminal && !isRefused
    }

    /// The state in its colour.
    func status(_ status: String) -> String {
        let text = status.printable
        guard isEnabled, let code = Self.codes[status] else { return text }
        return "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }

    private static let codes = [
        "RUNNING": 33, "COMPLETED": 32, "FAILED": 31, "STOPPED": 35, "CANCELED": 35, "INITIALIZING": 34,
        "SCHEDULED": 36, "PENDING": 36,
    ]
}
