import Glibc
import SwiftASN1
import X509

/// The names and addresses under which a server is known: its certificate's alternative names.
public struct SubjectNames: Sendable, Hashable {
    /// What clients on the same host, and clients that pin the name `joblet`, ask for.
    public static let always = ["localhost", "joblet", "joblet-server", "127.0.0.1", "::1"]

    private(set) var names: [GeneralName] = []

    /// Collects the names that every server has and `additional` ones, each an IP address or a DNS name.
    ///
    /// Throws `notIssuable` for a text that is neither.
    public init(additional: [String] = []) throws(SecurityError) {
        for text in Self.always + additional {
            let name = try Self.parse(text)
            if !names.contains(name) { names.append(name) }
        }
    }

    private static func parse(_ text: String) throws(SecurityError) -> GeneralName {
        if let address = address(text) {
            return .ipAddress(ASN1OctetString(contentBytes: address[...]))
        }
        guard isDNSName(text) else {
            throw .notIssuable(reason: "'\(text)' is neither an IP address nor a DNS name")
        }
        return .dnsName(text.lowercased())
    }

    /// The bytes of an IPv4 or IPv6 address in text form, in network order.
    static func address(_ text: String) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes.prefix(4)) }
        if inet_pton(AF_INET6, text, &bytes) == 1 { return bytes }
        return nil
    }

    /// Labels of letters, digits, `-` and `_`, of which the first may be `*` in front of at least two others.
    private static func isDNSName(_ text: String) -> Bool {
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        // A last label of digits alone would be taken for a badly written IPv4 address.
        guard text.utf8.count <= 253, let last = labels.last, !last.utf8.allSatisfy(isDigit) else { return false }
        let checked = labels.first == "*" && labels.count >= 3 ? labels.dropFirst() : labels[...]
        return checked.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                && label.utf8.allSatisfy(isLabelByte)
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
    }

    private static func isLabelByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte | 0x20
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}
