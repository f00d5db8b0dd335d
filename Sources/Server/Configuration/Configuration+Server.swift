public import JobletSecurity

extension Configuration {
    /// Where the daemon listens and which node it is.
    public struct Server: Sendable, Equatable {
        /// Address or host name to listen on (`server.address`).
        public var address = "0.0.0.0"
        /// TCP port (`server.port`); 0, any free port, only by option.
        public var port = 50051
        /// Name of this node in every record (`server.nodeId`); empty: generated once and kept in the data directory.
        public var nodeID = ""

        /// Makes the defaults.
        public init() {}
    }

    /// Certificates and TLS.
    public struct Security: Sendable, Equatable {
        /// The server's certificate chain as PEM text (`security.serverCert`).
        public var serverCertificate: String?
        /// The server's private key as PEM text (`security.serverKey`).
        public var serverKey: PrivateKeyPEM?
        /// The authority that clients' certificates must come from, as PEM text (`security.caCert`).
        public var authority: String?
        /// Directory with the same three as files (`security.certDir`); none: `certs` below the data directory.
        public var certificateDirectory: String?
        /// The oldest TLS version that is accepted (`security.minTLSVersion`).
        public var minimumTLSVersion = MinimumTLSVersion.tls12

        /// Makes the defaults.
        public init() {}

        /// The PEM texts of the file, when it holds all three.
        public var embedded: TLSIdentity? {
            guard let serverCertificate, let serverKey, let authority else { return nil }
            return TLSIdentity(certificate: serverCertificate, key: serverKey, authority: authority)
        }
    }

    static let serverKeys: [ConfigurationKey] = [
        ConfigurationKey("version", \.version, .exactly("3.0")),
        ConfigurationKey("server.address", \.server.address, .host),
        ConfigurationKey("server.port", \.server.port, .integer(1...65535)),
        ConfigurationKey("server.nodeId", \.server.nodeID, .nodeID),
        ConfigurationKey("security.serverCert", \.security.serverCertificate, .certificate),
        ConfigurationKey("security.serverKey", \.security.serverKey, .privateKey),
        ConfigurationKey("security.caCert", \.security.authority, .certificate),
        ConfigurationKey("security.certDir", \.security.certificateDirectory, .pathOrDefault),
        ConfigurationKey("security.minTLSVersion", \.security.minimumTLSVersion, .choice()),
    ]
}
