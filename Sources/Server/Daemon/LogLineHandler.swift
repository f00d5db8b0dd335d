import FoundationEssentials
import Glibc
public import Logging

/// Writes the daemon's own log to standard output, a line an entry.
///
/// Text: `[2024-01-15T10:30:00Z] [INFO] message | key=value key="value with spaces"`; or JSON objects.
public struct LogLineHandler: LogHandler {
    public var metadata: Logger.Metadata = [:]
    public var logLevel: Logger.Level
    private let format: Configuration.LogFormat
    private let component: String?

    /// A handler of that level and format; `component` names the program in each line, where it is not the daemon.
    public init(level: Configuration.LogLevel, format: Configuration.LogFormat, component: String? = nil) {
        self.component = component
        logLevel =
            switch level {
            case .debug: .debug
            case .info: .info
            case .warn: .warning
            case .error: .error
            }
        self.format = format
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = Date().formatted(.iso8601)
        let line =
            switch format {
            case .text: text(time, event.level, event.message.description, fields)
            case .json: json(time, event.level, event.message.description, fields)
            }
        // One write a line: lines of several threads do not mix.
        _ = line.withCString { write(1, $0, strlen($0)) }
    }

    private func name(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "DEBUG"
        case .info, .notice: "INFO"
        case .warning: "WARN"
        case .error, .critical: "ERROR"
        }
    }

    private func text(
        _ time: String, _ level: Logger.Level, _ message: String, _ fields: [(key: String, value: Logger.MetadataValue)]
    ) -> String {
        let prefix = component.map { "[\($0.uppercased())] " } ?? ""
        var line = "[\(time)] [\(name(level))] \(prefix)\(message)"
        if !fields.isEmpty {
            line += " | " + fields.map { "\($0.key)=\(quoted($0.value.description))" }.joined(separator: " ")
        }
        return line + "\n"
    }

    /// Values with spaces or anything that would break the line are quoted and escaped.
    private func quoted(_ value: String) -> String {
        let isPlain =
            !value.isEmpty && value.unicodeScalars.allSatisfy { $0.value > 0x20 && $0 != "\"" && $0.value != 0x7f }
        return isPlain ? value : LogText.quoted(value)
    }

    private func json(
        _ time: String, _ level: Logger.Level, _ message: String, _ fields: [(key: String, value: Logger.MetadataValue)]
    ) -> String {
        let pairs =
            [("time", time), ("level", name(level))] + (component.map { [("component", $0)] } ?? [])
            + [("message", message)]
            + fields.map { ($0.key, $0.value.description) }
        return "{" + pairs.map { "\(LogText.quoted($0.0)):\(LogText.quoted($0.1))" }.joined(separator: ",") + "}\n"
    }
}

/// JSON strings (RFC 8259, section 7).
private enum LogText {
    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
