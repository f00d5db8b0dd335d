import CCrypto
import FoundationEssentials
import Glibc
import Kernel
public import Storage

/// The node's key: secrets of jobs are stored only sealed with it (AES-256-GCM, NIST SP 800-38D).
public struct SecretKey: Sendable {
    private static let keySize = 32
    private static let nonceSize = 12
    private static let tagSize = 16
    private let key: [UInt8]

    /// The key in the file at `path` (mode 0600), made the first time.
    ///
    /// Throws `failedPrecondition` where others may read it.
    public init(path: String) throws(EngineError) {
        let isPrivate: Bool
        do throws(SystemCallError) {
            if !Directory.exists(path) {
                try DataDirectory.writeDurably(path, try SecretKey.random(SecretKey.keySize))
            }
            let file = try FileDescriptor.open(path, flags: O_RDONLY | O_NOFOLLOW)
            key = try file.read(at: 0, count: SecretKey.keySize + 1)
            var status = stat()
            try retrying("fstat") { fstat(file.number, &status) }
            isPrivate = status.st_mode & 0o077 == 0 && status.st_uid == geteuid()
        } catch {
            throw EngineError(.internal, "node key: \(error)")
        }
        guard isPrivate else {
            throw EngineError(.failedPrecondition, "node key: \(path) must belong to the daemon alone (chmod 600)")
        }
        guard key.count == SecretKey.keySize else {
            throw EngineError(.internal, "node key: \(path) does not hold \(SecretKey.keySize) bytes")
        }
    }

    /// `value`, readable only with this key; `context` must be the same when it is opened.
    public func seal(_ value: String, context: String) throws(EngineError) -> SealedValue {
        do throws(SystemCallError) {
            let nonce = try SecretKey.random(SecretKey.nonceSize)
            var tag = [UInt8](repeating: 0, count: SecretKey.tagSize)
            guard let text = crypt(Array(value.utf8), nonce, Array(context.utf8), &tag, sealing: true) else {
                throw SystemCallError("encrypt", code: EIO)
            }
            return SealedValue(base64: Data(nonce + text + tag).base64EncodedString())
        } catch {
            throw EngineError(.internal, "\(error)")
        }
    }

    /// The value that was sealed with this key in this context.
    public func open(_ sealed: SealedValue, context: String) throws(EngineError) -> String {
        guard let data = Data(base64Encoded: sealed.base64), data.count >= SecretKey.nonceSize + SecretKey.tagSize
        else { throw EngineError(.internal, "a stored secret is damaged") }
        let bytes = Array(data)
        var tag = Array(bytes.suffix(SecretKey.tagSize))
        let text = Array(bytes[SecretKey.nonceSize..<bytes.count - SecretKey.tagSize])
        guard
            let value = crypt(
                text, Array(bytes.prefix(SecretKey.nonceSize)), Array(context.utf8), &tag, sealing: false)
        else { throw EngineError(.internal, "a stored secret was not sealed with this node's key") }
        return String(decoding: value, as: UTF8.self)
    }

    private static func random(_ count: Int) throws(SystemCallError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(count)) == 1 else { throw SystemCallError("random bytes", code: EIO) }
        return bytes
    }

    private func crypt(
        _ input: [UInt8], _ nonce: [UInt8], _ context: [UInt8], _ tag: inout [UInt8], sealing: Bool
    ) -> [UInt8]? {
        guard let cipher = EVP_CIPHER_CTX_new() else { return nil }
        defer { EVP_CIPHER_CTX_free(cipher) }
        var output = [UInt8](repeating: 0, count: input.count + 16)
        var count: Int32 = 0
        var total: Int32 = 0
        guard EVP_CipherInit_ex(cipher, EVP_aes_256_gcm(), nil, key, nonce, sealing ? 1 : 0) == 1,
            EVP_CipherUpdate(cipher, nil, &count, context, Int32(context.count)) == 1,
            EVP_CipherUpdate(cipher, &output, &count, input, Int32(input.count)) == 1
        else { return nil }
        total = count
        if !sealing {
            guard EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, Int32(tag.count), &tag) == 1 else { return nil }
        }
        guard EVP_CipherFinal_ex(cipher, &output, &count) == 1 else { return nil }
        if sealing {
            guard EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), &tag) == 1 else { return nil }
        }
        return Array(output.prefix(Int(total + count)))
    }
}
