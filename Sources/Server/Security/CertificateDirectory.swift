public import FoundationEssentials
import Glibc

/// The folder that holds the certificates and keys of an installation, under the names that clients look for.
///
/// The folder has mode 0700; keys have 0600 from the moment they exist, certificates 0644.
public struct CertificateDirectory: Sendable {
    /// A file of the folder.
    public enum File: String, Sendable, CaseIterable {
        case authorityCertificate = "ca-cert.pem"
        case authorityKey = "ca-key.pem"
        case serverCertificate = "server-cert.pem"
        case serverKey = "server-key.pem"
        /// The admin's certificate under the name that a client uses by default.
        case clientCertificate = "client-cert.pem"
        case clientKey = "client-key.pem"
        case adminCertificate = "admin-client-cert.pem"
        case adminKey = "admin-client-key.pem"
        case viewerCertificate = "viewer-client-cert.pem"
        case viewerKey = "viewer-client-key.pem"

        var mode: mode_t {
            switch self {
            case .authorityKey, .serverKey, .clientKey, .adminKey, .viewerKey: 0o600
            default: 0o644
            }
        }
    }

    /// The folder.
    public let path: String

    /// Names a folder; it need not exist yet.
    public init(path: String) {
        self.path = path
    }

    /// The path of a file, whether it exists or not.
    public func path(of file: File) -> String {
        "\(path)/\(file.rawValue)"
    }

    /// The text of a file. Throws `missing` with its path.
    public func read(_ file: File) throws(SecurityError) -> String {
        try ExclusiveFile.read(path(of: file))
    }

    /// The authority whose files are here.
    public func authority() throws(SecurityError) -> CertificateAuthority {
        try CertificateAuthority(
            certificate: read(.authorityCertificate), key: PrivateKeyPEM(read(.authorityKey)))
    }

    /// What a server needs for TLS.
    public func serverIdentity() throws(SecurityError) -> TLSIdentity {
        try identity(.serverCertificate, .serverKey)
    }

    /// What a client in a role needs for TLS.
    public func clientIdentity(_ role: Role) throws(SecurityError) -> TLSIdentity {
        let files = try Self.clientFiles(role)
        return try identity(files.certificate, files.key)
    }

    /// Creates an authority and the certificates of the server, an admin and a viewer.
    ///
    /// Without `force`, throws `exists` with the path of the first file that is already there, before it writes any.
    /// With it, a new authority takes the place of the old one, whose clients are shut out from then on.
    public func initialize(
        names: SubjectNames, days: Int = CertificateAuthority.defaultLeafDays, force: Bool = false,
        at now: Date = Date()
    ) throws(SecurityError) {
        let authority = try CertificateAuthority(at: now)
        let server = try authority.issueServer(names: names, days: days, at: now)
        let admin = try authority.issueClient(role: .admin, days: days, at: now)
        let viewer = try authority.issueClient(role: .viewer, days: days, at: now)
        try write(
            [(.authorityCertificate, authority.certificatePEM), (.authorityKey, authority.keyPEM.text)]
                + texts(server, .serverCertificate, .serverKey) + texts(admin, for: .admin)
                + texts(viewer, for: .viewer),
            force: force)
    }

    /// Issues a server certificate with the authority whose files are here.
    @discardableResult
    public func issueServer(
        names: SubjectNames, days: Int = CertificateAuthority.defaultLeafDays, force: Bool = false,
        at now: Date = Date()
    ) throws(SecurityError) -> IssuedCertificate {
        let issued = try authority().issueServer(names: names, days: days, at: now)
        try write(texts(issued, .serverCertificate, .serverKey), force: force)
        return issued
    }

    /// Renews the client certificate of a role with the authority whose files are here.
    @discardableResult
    public func issueClient(
        role: Role, days: Int = CertificateAuthority.defaultLeafDays, force: Bool = false, at now: Date = Date()
    ) throws(SecurityError) -> TLSIdentity {
        let authority = try authority()
        let issued = try authority.issueClient(role: role, days: days, at: now)
        try write(texts(issued, for: role), force: force)
        return TLSIdentity(
            certificate: issued.certificatePEM, key: issued.key, authority: authority.certificatePEM)
    }

    /// Issues one more client certificate of a role, in the files `<name>-client-cert.pem` and `<name>-client-key.pem`;
    /// the name is its common name.
    @discardableResult
    public func issueClient(
        role: Role, name: ClientName, days: Int = CertificateAuthority.defaultLeafDays, force: Bool = false,
        at now: Date = Date()
    ) throws(SecurityError) -> TLSIdentity {
        let authority = try authority()
        let issued = try authority.issueClient(role: role, commonName: name.text, days: days, at: now)
        try write(
            [
                ("\(name.text)-client-cert.pem", issued.certificatePEM, 0o644),
                ("\(name.text)-client-key.pem", issued.key.text, 0o600),
            ], force: force)
        return TLSIdentity(
            certificate: issued.certificatePEM, key: issued.key, authority: authority.certificatePEM)
    }

    private func identity(_ certificate: File, _ key: File) throws(SecurityError) -> TLSIdentity {
        try TLSIdentity(
            certificatePath: path(of: certificate), keyPath: path(of: key),
            authorityPath: path(of: .authorityCertificate))
    }

    private static func clientFiles(_ role: Role) throws(SecurityError) -> (certificate: File, key: File) {
        switch role {
        case .admin: (.adminCertificate, .adminKey)
        case .viewer: (.viewerCertificate, .viewerKey)
        case .unknown: throw .notIssuable(reason: "a client needs a role")
        }
    }

    private func texts(_ issued: IssuedCertificate, _ certificate: File, _ key: File) -> [(File, String)] {
        [(certificate, issued.certificatePEM), (key, issued.key.text)]
    }

    private func texts(_ issued: IssuedCertificate, for role: Role) throws(SecurityError) -> [(File, String)] {
        let files = try Self.clientFiles(role)
        let own = texts(issued, files.certificate, files.key)
        return role == .admin ? own + texts(issued, .clientCertificate, .clientKey) : own
    }

    private func write(_ files: [(file: File, text: String)], force: Bool) throws(SecurityError) {
        try write(files.map { ($0.file.rawValue, $0.text, $0.file.mode) }, force: force)
    }

    private func write(_ files: [(name: String, text: String, mode: mode_t)], force: Bool) throws(SecurityError) {
        try create()
        if !force {
            for (name, _, _) in files where access("\(path)/\(name)", F_OK) == 0 {
                throw .exists(path: "\(path)/\(name)")
            }
        }
        for (name, text, mode) in files {
            try ExclusiveFile.write(text, to: "\(path)/\(name)", mode: mode, replacing: force)
        }
    }

    /// Creates the folder. One that exists is used if no one but its owner may write to it.
    private func create() throws(SecurityError) {
        var parent = ""
        for component in path.split(separator: "/").dropLast() {
            parent += (parent.isEmpty && !path.hasPrefix("/") ? "" : "/") + component
            try makeFolder(parent, mode: 0o755)
        }
        try makeFolder(path, mode: 0o700)
        var status = stat()
        guard stat(path, &status) == 0 else { throw .system(call: "stat", path: path, errno: errno) }
        guard status.st_mode & 0o022 == 0 else { throw .unsafeDirectory(path: path) }
    }

    private func makeFolder(_ path: String, mode: mode_t) throws(SecurityError) {
        guard mkdir(path, mode) != 0, errno != EEXIST else { return }
        throw .system(call: "mkdir", path: path, errno: errno)
    }
}
