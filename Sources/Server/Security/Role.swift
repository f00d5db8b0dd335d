public import X509

/// What the holder of a client certificate may do.
public enum Role: String, Sendable, CaseIterable {
    /// Everything.
    case admin
    /// Look, but change nothing.
    case viewer
    /// Nothing: the certificate names no role.
    case unknown

    /// The role that a verified client certificate grants.
    ///
    /// It is the first organizational unit (OU) of the subject that equals `admin` or `viewer`, ignoring the case of
    /// ASCII letters; other units are passed over.
    public init(_ certificate: Certificate) {
        let units = certificate.subject.lazy.joined()
            .filter { $0.type == .RDNAttributeType.organizationalUnitName }
            .compactMap { String($0.value) }
        self = units.lazy.compactMap(Role.init(organizationalUnit:)).first ?? .unknown
    }

    private init?(organizationalUnit unit: String) {
        let folded = unit.utf8.map { ascii in UInt8(ascii: "A")...UInt8(ascii: "Z") ~= ascii ? ascii | 0x20 : ascii }
        switch folded {
        case Array("admin".utf8): self = .admin
        case Array("viewer".utf8): self = .viewer
        default: return nil
        }
    }
}
