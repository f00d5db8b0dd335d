import Engine
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Glibc
import NIOCore

/// Where a server of TCP connections listens.
struct ListenAddress {
    /// For the transport: numbers.
    let resolved: GRPCNIOTransportHTTP2Posix.SocketAddress
    /// As it was configured.
    private let text: String

    /// Takes an IP address or a name of this host, which is looked up (getaddrinfo(3), blocking).
    ///
    /// Throws `failedPrecondition` for a name without an address.
    init(host: String, port: Int) throws(EngineError) {
        text = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let found: NIOCore.SocketAddress
        do {
            found = try .makeAddressResolvingHost(host, port: port)
        } catch {
            throw EngineError(.failedPrecondition, "cannot listen on \(text): \(host) has no address")
        }
        let address = found.ipAddress ?? host
        resolved = found.protocol == .inet6 ? .ipv6(host: address, port: port) : .ipv4(host: address, port: port)
    }

    /// What a server that ended with `error` says: where the system refused the address, that.
    func explanation(of error: any Error) -> any Error {
        guard let error = error as? RuntimeError, error.code == .transportError, let cause = error.cause as? IOError
        else { return error }
        return EngineError(
            .failedPrecondition, "cannot listen on \(text): \(String(cString: strerror(cause.errnoCode)))")
    }
}
