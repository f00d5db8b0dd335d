import CloudBackends
import Testing

/// The vectors of AWS's published test suite for Signature Version 4.
@Suite struct SignerTests {
    struct Vector: Sendable, CustomTestStringConvertible {
        var name: String
        var request: AWSRequest
        var signed: String = "host;x-amz-date"
        var signature: String
        var testDescription: String { name }
    }

    static let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    static let suite: [Vector] = [
        Vector(
            name: "get-vanilla", request: AWSRequest("GET", "/"),
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        Vector(
            name: "get-vanilla-query-order-key-case",
            request: AWSRequest("GET", "/", query: [("Param2", "value2"), ("Param1", "value1")]),
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        Vector(
            name: "get-unreserved", request: AWSRequest("GET", "/" + unreserved),
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        Vector(
            name: "get-space", request: AWSRequest("GET", "/example space/"),
            signature: "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
        Vector(
            name: "get-utf8", request: AWSRequest("GET", "/\u{1234}"),
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        Vector(
            name: "get-vanilla-empty-query-key", request: AWSRequest("GET", "/", query: [("Param1", "value1")]),
            signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
        Vector(
            name: "get-header-value-trim",
            request: AWSRequest(
                "GET", "/", headers: [HTTPHeader("My-Header1", " value1"), HTTPHeader("My-Header2", " \"a   b   c\"")]),
            signed: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
        Vector(
            name: "get-header-key-duplicate",
            request: AWSRequest(
                "GET", "/",
                headers: ["value2", "value2", "value1"].map { HTTPHeader("My-Header1", $0) }),
            signed: "host;my-header1;x-amz-date",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
        Vector(
            name: "post-vanilla", request: AWSRequest("POST", "/"),
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        Vector(
            name: "post-vanilla-query", request: AWSRequest("POST", "/", query: [("Param1", "value1")]),
            signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
        Vector(
            name: "post-header-key-case",
            request: AWSRequest("POST", "/", headers: [HTTPHeader("My-Header1", "value1")]),
            signed: "host;my-header1;x-amz-date",
            signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
        Vector(
            name: "post-header-value-case",
            request: AWSRequest("POST", "/", headers: [HTTPHeader("My-Header1", "VALUE1")]),
            signed: "host;my-header1;x-amz-date",
            signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
        Vector(
            name: "post-x-www-form-urlencoded",
            request: AWSRequest(
                "POST", "/", headers: [HTTPHeader("Content-Type", "application/x-www-form-urlencoded")],
                body: Array("Param1=value1".utf8)),
            signed: "content-type;host;x-amz-date",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ]

    @Test(arguments: suite)
    func `the published test suite`(_ vector: Vector) throws {
        let credentials = Credentials(
            accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
        // 2015-08-30T12:36:00Z
        let headers = Signer(region: "us-east-1", service: "service")
            .headers(for: vector.request, host: "example.amazonaws.com", credentials: credentials, at: 1_440_938_160)
        let expected =
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            + "SignedHeaders=\(vector.signed), Signature=\(vector.signature)"
        #expect(headers.last == HTTPHeader("Authorization", expected))
    }

    /// The examples of S3's documentation, "Signature Calculations for the Authorization Header".
    static let examples: [Vector] = [
        Vector(
            name: "GET Object", request: AWSRequest("GET", "/test.txt", headers: [HTTPHeader("Range", "bytes=0-9")]),
            signed: "host;range;x-amz-content-sha256;x-amz-date",
            signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
        Vector(
            name: "PUT Object",
            request: AWSRequest(
                "PUT", "/test$file.text",
                headers: [
                    HTTPHeader("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                    HTTPHeader("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                ], body: Array("Welcome to Amazon S3.".utf8)),
            signed: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        Vector(
            name: "GET Bucket Lifecycle", request: AWSRequest("GET", "/", query: [("lifecycle", "")]),
            signed: "host;x-amz-content-sha256;x-amz-date",
            signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        Vector(
            name: "GET Bucket (List Objects)",
            request: AWSRequest("GET", "/", query: [("max-keys", "2"), ("prefix", "J")]),
            signed: "host;x-amz-content-sha256;x-amz-date",
            signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ]

    @Test(arguments: examples)
    func `the examples of the documentation of S3`(_ vector: Vector) throws {
        let credentials = Credentials(
            accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))
        // 2013-05-24T00:00:00Z
        let headers = Signer(region: "us-east-1", service: "s3")
            .headers(
                for: vector.request, host: "examplebucket.s3.amazonaws.com", credentials: credentials,
                at: 1_369_353_600)
        let expected =
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            + "SignedHeaders=\(vector.signed), Signature=\(vector.signature)"
        #expect(headers.last == HTTPHeader("Authorization", expected))
    }

    @Test func `a session token is sent and signed`() {
        let credentials = Credentials(
            accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("k"), sessionToken: Secret("token"))
        let headers = Signer(region: "us-east-1", service: "sts")
            .headers(for: AWSRequest("GET", "/"), host: "h", credentials: credentials, at: 0)
        #expect(headers.contains(HTTPHeader("X-Amz-Security-Token", "token")))
        #expect(headers.last?.value.contains("SignedHeaders=host;x-amz-date;x-amz-security-token") == true)
    }

    @Test func `secrets do not print`() {
        let credentials = Credentials(
            accessKeyID: "AKIDEXAMPLE", secretAccessKey: Secret("hush"), sessionToken: Secret("hush"))
        var dumped = ""
        dump(credentials, to: &dumped)
        for text in ["\(credentials)", String(reflecting: credentials), dumped] {
            #expect(!text.contains("hush"))
            #expect(text.contains("***") || text == dumped)
        }
    }
}
