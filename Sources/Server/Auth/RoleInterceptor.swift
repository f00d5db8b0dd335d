import GRPCCore
import GRPCNIOTransportHTTP2Posix
import JobletSecurity

/// Lets a call through only if the caller's certificate names a role that may do it.
struct RoleInterceptor: ServerInterceptor {
    func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>, context: ServerContext,
        next: @Sendable (StreamingServerRequest<Input>, ServerContext) async throws -> StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        guard let connection = context.transportSpecific as? HTTP2ServerTransport.Posix.Context else {
            throw RPCError(
                code: .unauthenticated, message: "failed to extract client role: no TLS information found")
        }
        // A connection without a certificate is none of ours to serve: this listener is TCP.
        guard let certificate = connection.peerCertificate else {
            throw RPCError(
                code: .unauthenticated, message: "failed to extract client role: no client certificate found")
        }
        let role = Role(certificate)
        guard let operation = MethodTable.operations[context.descriptor] else {
            throw RPCError(code: .permissionDenied, message: "no role is allowed to call \(context.descriptor)")
        }
        guard operation.isAllowed(to: role) else {
            throw RPCError(
                code: .permissionDenied,
                message: "role \(role.rawValue) is not allowed to perform operation \(operation.rawValue)")
        }
        return try await next(request, context)
    }
}
