import YAML

extension Configuration {
    /// One thing that is wrong with a configuration, or has no effect in it.
    public struct Problem: Sendable, Equatable, CustomStringConvertible {
        /// Whether the configuration can be used all the same.
        public enum Severity: Sendable {
            /// It cannot.
            case error
            /// It can.
            case warning
        }

        /// Whether the configuration can be used all the same.
        public let severity: Severity
        /// The file, environment variable or option.
        public let source: String
        /// Line in the file, from 1.
        public let line: Int?
        /// Column in the line, from 1, counted in Unicode scalars.
        public let column: Int?
        /// The key, `server.port`; empty if the whole file is meant.
        public let keyPath: String
        /// What is wrong and what is allowed, one line.
        public let message: String

        init(
            _ severity: Severity = .error, source: String, at position: Mark? = nil, keyPath: String = "",
            _ message: String
        ) {
            self.severity = severity
            self.source = source
            line = position?.line
            column = position?.column
            self.keyPath = keyPath
            self.message = message
        }

        /// `file:line:column: key.path: message`, without what is not known.
        public var description: String {
            let place = ([source] + [line, column].compactMap { $0.map(String.init) }).joined(separator: ":")
            return [place, keyPath, message].filter { !$0.isEmpty }.joined(separator: ": ")
        }
    }

    /// Why there is no configuration: everything that was found wrong, in the order of the file.
    public struct LoadError: Error, Equatable, CustomStringConvertible {
        /// The problems, at least one; warnings that were found on the way are among them.
        public let problems: [Problem]

        init(_ problems: [Problem]) {
            self.problems = problems
        }

        /// One problem a line.
        public var description: String {
            problems.map(\.description).joined(separator: "\n")
        }
    }
}
