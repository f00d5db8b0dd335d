import CCrypto

/// SHA-256, HMAC-SHA-256 and MD5, from libcrypto.
enum Digest {
    /// The SHA-256 of `bytes`: 32 bytes.
    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        let status = EVP_Digest(bytes, bytes.count, &digest, &length, EVP_sha256(), nil)
        precondition(status == 1 && length == 32, "SHA-256 failed")
        return digest
    }

    /// The MD5 of `bytes`: 16 bytes; nil where libcrypto does not offer it.
    static func md5(_ bytes: [UInt8]) -> [UInt8]? {
        var digest = [UInt8](repeating: 0, count: 16)
        var length: UInt32 = 0
        let status = EVP_Digest(bytes, bytes.count, &digest, &length, EVP_md5(), nil)
        return status == 1 && length == 16 ? digest : nil
    }

    /// The HMAC-SHA-256 of `text` under `key`: 32 bytes.
    static func hmac(_ text: some StringProtocol, key: [UInt8]) -> [UInt8] {
        let bytes = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        var length = 0
        let result = EVP_Q_mac(
            nil, "HMAC", nil, "SHA256", nil, key, key.count, bytes, bytes.count, &digest, digest.count, &length)
        precondition(result != nil && length == 32, "HMAC-SHA-256 failed")
        return digest
    }

    /// The bytes as lower-case hexadecimal digits.
    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
