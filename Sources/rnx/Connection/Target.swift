import Glibc
import JobletSecurity

/// Host and port of a server.
struct ServerAddress: Equatable, CustomStringConvertible {
    static let defaultPort = 50051

    /// A name, or an IP address without brackets.
    let host: String
    let port: Int

    /// Reads `host:port`, `[IPv6]:port`, or either without a port.
    init(_ text: String) throws(Failure) {
        let invalid = Failure(.local, "invalid server address '\(text)': expected host:port")
        var host = Substring(text)
        var port: Substring?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw invalid }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if text.filter({ $0 == ":" }).count == 1, let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        let number = port.map { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int($0) : nil } ?? Self.defaultPort
        guard let number, (1...65535).contains(number), !host.isEmpty,
            host.unicodeScalars.allSatisfy({ $0.value > 0x20 && !"[]/\u{7F}".unicodeScalars.contains($0) })
        else { throw invalid }
        self.host = String(host)
        self.port = number
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Which address family the host is written in, nil for a name.
    var family: Int32? {
        var bytes = in6_addr()
        if inet_pton(AF_INET, host, &bytes) == 1 { return AF_INET }
        return inet_pton(AF_INET6, host, &bytes) == 1 ? AF_INET6 : nil
    }
}

/// The server to talk to and the identity to talk to it with.
struct Target {
    let address: ServerAddress
    let identity: TLSIdentity

    /// Settles every part by flag, then environment, then configuration file. Where there is no file and at least one
    /// part is given, or the usual certificate files are there, the rest has the usual values.
    init(_ options: ConnectionOptions, _ surroundings: Surroundings) throws(Failure) {
        let server = options.server ?? surroundings.value("JOBLET_SERVER")
        let certificate = options.cert ?? surroundings.value("JOBLET_CERT_PATH")
        let key = options.key ?? surroundings.value("JOBLET_KEY_PATH")
        let authority = options.ca ?? surroundings.value("JOBLET_CA_PATH")

        let name = options.node ?? surroundings.value("RNX_NODE") ?? "default"
        let file = try NodeFile.find(options.config, surroundings)
        let isGiven = server != nil || certificate != nil || key != nil || authority != nil
        let usual = UsualFiles(surroundings)
        if file == nil && !isGiven && !usual.exist { throw NodeFile.notFound }

        // Only a node that is needed must be there.
        let isComplete = server != nil && certificate != nil && key != nil && authority != nil
        let node = isComplete && options.node == nil ? nil : try file?.node(name)
        if let node, certificate == nil || key == nil || authority == nil, !node.hasCertificates {
            throw Failure(.certificate, "client certificates are not configured for node \(name)")
        }
        address = try ServerAddress(server ?? node?.address ?? "localhost:\(ServerAddress.defaultPort)")
        do {
            identity = TLSIdentity(
                certificate: try certificate.map(TextFile.read) ?? node?.certificate
                    ?? TextFile.read(usual.certificate),
                key: PrivateKeyPEM(try key.map(TextFile.read) ?? node?.key ?? TextFile.read(usual.key)),
                authority: try authority.map(TextFile.read) ?? node?.authority ?? TextFile.read(usual.authority))
        } catch let error as SecurityError {
            throw Failure(error)
        } catch {
            throw Failure(.certificate, "\(error)")
        }
    }
}

/// Certificate files in the working directory, where the flags do not say otherwise.
struct UsualFiles {
    let certificate: String
    let key: String
    let authority: String

    init(_ surroundings: Surroundings) {
        certificate = surroundings.directory + "certs/client-cert.pem"
        key = surroundings.directory + "certs/client-key.pem"
        authority = surroundings.directory + "certs/ca-cert.pem"
    }

    var exist: Bool { [certificate, key, authority].allSatisfy(TextFile.exists) }
}
