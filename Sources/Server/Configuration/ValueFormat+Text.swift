import Glibc
import JobletSecurity
import YAML

extension ValueFormat where Value == String {
    /// One text only; quotes do not matter, so that a version reads the same with and without.
    static func exactly(_ text: String) -> Self {
        Self(allowed: "\"\(text)\"", parse: { $0.text == text ? text : nil }, show: { $0 })
    }

    /// An IP address or a host name.
    static var host: Self {
        Self(allowed: "an IP address or a host name", parse: { HostName.parse($0.text) }, show: { $0 })
    }

    /// The name of a node: it becomes part of paths, keys and tables of stores. Empty: one is generated.
    static var nodeID: Self {
        Self(
            allowed: "1 to 64 letters, digits, dots, dashes or underscores, beginning with a letter or digit; or \"\"",
            parse: { scalar in
                let isName = scalar.text.wholeMatch(of: #/[A-Za-z0-9][A-Za-z0-9._-]{0,63}/#) != nil
                return isName || scalar.text.isEmpty ? scalar.text : nil
            },
            show: { $0 })
    }

    /// An absolute path.
    static var path: Self {
        Self(allowed: "an absolute path", parse: { AbsolutePath.parse($0.text) }, show: { $0 })
    }
}

extension ValueFormat where Value == String? {
    /// An absolute path, or "" for the place that follows from other keys.
    static var pathOrDefault: Self {
        let allowed = "an absolute path, or \"\" for the default"
        return Self(
            allowed: allowed,
            read: { (node: Node) throws(ValueError) in
                let text = YAMLScalar(node)?.text
                if text == "" { return nil }
                guard let path = text.flatMap(AbsolutePath.parse) else {
                    throw ValueError(expected: allowed, found: node)
                }
                return path
            },
            show: { $0 ?? "" })
    }

    /// A certificate or a chain of them as PEM text, or "" for none.
    static var certificate: Self {
        let allowed = "certificates as PEM text (-----BEGIN CERTIFICATE-----), or \"\""
        return Self(
            allowed: allowed,
            read: { (node: Node) throws(ValueError) in
                try PEM.read(node, label: "CERTIFICATE", allowed: allowed)
            },
            show: { $0.map { "\($0.split(separator: "\n").count) lines of PEM text" } ?? "" })
    }
}

extension ValueFormat where Value == PrivateKeyPEM? {
    /// A private key as PEM text, or "" for none. No message and no listing ever repeats it.
    static var privateKey: Self {
        let allowed = "a private key as PEM text (-----BEGIN PRIVATE KEY-----), or \"\""
        return Self(
            allowed: allowed,
            read: { (node: Node) throws(ValueError) in
                try PEM.read(node, label: "PRIVATE KEY", allowed: allowed).map(PrivateKeyPEM.init)
            },
            show: { $0?.description ?? "" })
    }
}

extension ValueFormat where Value == [String] {
    /// A list of absolute paths; repeated ones count once.
    static var paths: Self {
        let allowed = "a list of absolute paths"
        return Self(
            allowed: allowed,
            read: { (node: Node) throws(ValueError) in
                guard case .sequence(let sequence) = node.content else {
                    throw ValueError(expected: allowed, found: node)
                }
                var paths: [String] = []
                var findings: [ValueError.Finding] = []
                for (index, element) in sequence.enumerated() {
                    if let path = YAMLScalar(element).flatMap({ AbsolutePath.parse($0.text) }) {
                        if !paths.contains(path) { paths.append(path) }
                    } else {
                        let message = "expected an absolute path, not \(YAMLScalar.describe(element))"
                        findings.append(.init(element: "[\(index)]", position: element.mark, message: message))
                    }
                }
                guard findings.isEmpty else { throw ValueError(findings: findings) }
                return paths
            },
            show: { "[\($0.joined(separator: ", "))]" })
    }
}

extension ValueFormat where Value == Bool {
    /// `true` or `false`.
    static var boolean: Self {
        Self(allowed: "true or false", parse: { $0.plain.flatMap { Bool($0.lowercased()) } }, show: { String($0) })
    }
}

extension ValueFormat where Value: CaseIterable & RawRepresentable<String> {
    /// One of the words of an enumeration, in capital or small letters.
    static func choice() -> Self {
        let words = Value.allCases.map(\.rawValue)
        return Self(
            allowed: words.count == 1 ? words[0] : "one of " + words.joined(separator: ", "),
            parse: { scalar in Value.allCases.first { $0.rawValue.lowercased() == scalar.text.lowercased() } },
            show: { $0.rawValue })
    }
}

/// Paths as the configuration allows them.
enum AbsolutePath {
    /// The path without trailing slashes, nil if it is not absolute or cannot be a path at all.
    static func parse(_ text: String) -> String? {
        guard text.hasPrefix("/"), text.utf8.count < 4096 else { return nil }
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else { return nil }
        var parts = text.split(separator: "/")
        parts.removeAll { $0 == "." }
        return parts.contains("..") ? nil : "/" + parts.joined(separator: "/")
    }

    /// Whether a path is another one or lies below it.
    static func isWithin(_ path: String, _ directory: String) -> Bool {
        path == directory || directory == "/" || path.hasPrefix(directory + "/")
    }
}

/// Names that a server can listen on.
enum HostName {
    /// The text if it is an IPv4 or IPv6 address or a DNS name.
    static func parse(_ text: String) -> String? {
        var address = in6_addr()
        if inet_pton(AF_INET6, text, &address) == 1 { return text }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        // Nothing but digits and dots is meant as an IPv4 address, so 256.1.1.1 is not a name.
        if labels.allSatisfy({ $0.allSatisfy(\.isNumber) }) {
            var address = in_addr()
            return inet_pton(AF_INET, text, &address) == 1 ? text : nil
        }
        let label = #/[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?/#
        return text.utf8.count <= 253 && labels.allSatisfy({ $0.wholeMatch(of: label) != nil }) ? text : nil
    }
}

/// PEM text in the configuration file.
enum PEM {
    /// The text of a value whose blocks are of one kind, nil for "". The message of an error leaves the text out.
    static func read(_ node: Node, label: String, allowed: String) throws(ValueError) -> String? {
        let refusal = ValueError("expected \(allowed)")
        guard let text = YAMLScalar(node)?.text else { throw refusal }
        if text.isEmpty { return nil }
        let lines = text.split(separator: "\n").map { trimmed($0) }
        guard lines.contains(where: { $0.hasPrefix("-----BEGIN ") && $0.hasSuffix("\(label)-----") }),
            lines.contains(where: { $0.hasPrefix("-----END ") && $0.hasSuffix("\(label)-----") })
        else { throw refusal }
        return text
    }

    private static func trimmed(_ line: Substring) -> Substring {
        let rest = line.drop(while: \.isWhitespace)
        return rest.dropLast(rest.reversed().prefix(while: \.isWhitespace).count)
    }
}
