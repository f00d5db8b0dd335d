import GRPCCore
import GRPCNIOTransportHTTP2Posix
import JobletAPI

/// `bare-client PORT DIRECTORY`: lists a node's jobs with the libraries of `rnx` and nothing else.
///
/// DIRECTORY has the certificates. Prints a line a job.
@main
struct BareClient {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3, let port = Int(arguments[1]) else {
            fatalError("usage: bare-client PORT DIRECTORY")
        }
        func file(_ name: String) -> TLSConfig.CertificateSource {
            .file(path: "\(arguments[2])/\(name)", format: .pem)
        }
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port),
            transportSecurity: .mTLS(
                certificateChain: [file("admin-client-cert.pem")],
                privateKey: .file(path: "\(arguments[2])/admin-client-key.pem", format: .pem)
            ) { tls in
                tls.trustRoots = .certificates([file("ca-cert.pem")])
                tls.serverCertificateVerification = .noHostnameVerification
            })
        try await withGRPCClient(transport: transport) { client in
            let jobs = try await Joblet_JobService.Client(wrapping: client).listJobs(.init()).jobs
            print(jobs.map { "\($0.uuid) \($0.status)" }.joined(separator: "\n"))
        }
    }
}
