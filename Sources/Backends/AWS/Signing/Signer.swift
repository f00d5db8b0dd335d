/// Signs requests by AWS Signature Version 4, in the header.
package struct Signer: Sendable {
    /// The region in the scope of the signature.
    package var region: String
    /// The service in the scope: `s3`, `dynamodb`, `sts`.
    package var service: String

    /// A signer of requests to one service.
    package init(region: String, service: String) {
        self.region = region
        self.service = service
    }

    /// The fields that the signed request carries besides Host, `Authorization` the last.
    ///
    /// `seconds` is the time of the signature, `host` the Host field that is sent. S3 wants the hash of the body as
    /// a field too.
    package func headers(
        for request: AWSRequest, host: String, credentials: Credentials, at seconds: Int64
    ) -> [HTTPHeader] {
        let payloadHash = Digest.hex(Digest.sha256(request.body))
        var headers = request.headers
        headers.append(HTTPHeader("X-Amz-Date", AWSDate.basic(seconds)))
        if service == "s3" { headers.append(HTTPHeader("X-Amz-Content-Sha256", payloadHash)) }
        if let token = credentials.sessionToken {
            headers.append(HTTPHeader("X-Amz-Security-Token", token.value))
        }
        let signed = canonical(headers + [HTTPHeader("Host", host)])
        let names = signed.map(\.name).joined(separator: ";")
        let canonicalRequest = [
            request.method, request.encodedPath, request.encodedQuery,
            signed.map { "\($0.name):\($0.value)\n" }.joined(), names, payloadHash,
        ].joined(separator: "\n")
        let date = AWSDate.basic(seconds)
        let scope = "\(date.prefix(8))/\(region)/\(service)/aws4_request"
        let hash = Digest.hex(Digest.sha256(Array(canonicalRequest.utf8)))
        let text = "AWS4-HMAC-SHA256\n\(date)\n\(scope)\n\(hash)"
        let signature = Digest.hex(Digest.hmac(text, key: key(credentials, day: date.prefix(8))))
        headers.append(
            HTTPHeader(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope), SignedHeaders=\(names), "
                    + "Signature=\(signature)"))
        return headers
    }

    private func key(_ credentials: Credentials, day: Substring) -> [UInt8] {
        var key = Array("AWS4\(credentials.secretAccessKey.value)".utf8)
        for part in [String(day), region, service, "aws4_request"] { key = Digest.hmac(part, key: key) }
        return key
    }

    /// The fields in lower case and by name, values of one name joined in their order.
    private func canonical(_ headers: [HTTPHeader]) -> [HTTPHeader] {
        var values: [String: [String]] = [:]
        for header in headers {
            // Runs of spaces count as one, those at the ends not at all.
            let words = header.value.split { $0 == " " || $0 == "\t" }
            values[header.name.lowercased(), default: []].append(words.joined(separator: " "))
        }
        return values.sorted { $0.key < $1.key }.map { HTTPHeader($0.key, $0.value.joined(separator: ",")) }
    }
}
