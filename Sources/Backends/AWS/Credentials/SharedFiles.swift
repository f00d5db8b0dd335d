import Glibc

/// The files that other AWS programs share: `~/.aws/credentials` and `~/.aws/config`.
struct SharedFiles {
    /// The profile that is read.
    let profile: String
    /// Where the keys are.
    let credentialsPath: String
    private let keys: [String: String]
    private let configuration: [String: String]

    init(environment: (String) -> String?, profile: String?) {
        let home = environment("HOME") ?? "/root"
        self.profile = profile ?? environment("AWS_PROFILE") ?? "default"
        credentialsPath = environment("AWS_SHARED_CREDENTIALS_FILE") ?? "\(home)/.aws/credentials"
        let configurationPath = environment("AWS_CONFIG_FILE") ?? "\(home)/.aws/config"
        keys = Self.sections(Self.text(at: credentialsPath) ?? "")[self.profile] ?? [:]
        let sections = Self.sections(Self.text(at: configurationPath) ?? "")
        configuration = sections["profile \(self.profile)"] ?? sections[self.profile] ?? [:]
    }

    /// What both files say of the profile; the credentials file wins.
    var settings: [String: String] { configuration.merging(keys) { $1 } }

    /// The profile's keys; nil where it has none.
    func credentials() throws(CredentialsError) -> Credentials? {
        let settings = settings
        guard let id = settings["aws_access_key_id"] else { return nil }
        guard let secret = settings["aws_secret_access_key"] else {
            throw CredentialsError("profile \(profile) has aws_access_key_id and no aws_secret_access_key")
        }
        return Credentials(
            accessKeyID: id, secretAccessKey: Secret(secret),
            sessionToken: settings["aws_session_token"].map { Secret($0) })
    }

    /// The settings of each section of an INI file; indented lines belong to a setting before and are passed over.
    static func sections(_ text: String) -> [String: [String: String]] {
        var sections: [String: [String: String]] = [:]
        var section: String?
        for line in text.split(whereSeparator: \.isNewline) {
            let content = line.trimmingSpace
            if content.isEmpty || content.hasPrefix("#") || content.hasPrefix(";") { continue }
            if content.hasPrefix("["), let end = content.firstIndex(of: "]") {
                let name = content[content.index(after: content.startIndex)..<end]
                section = name.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
            } else if let section, line.first?.isWhitespace == false, let equals = content.firstIndex(of: "=") {
                let name = content[..<equals].trimmingSpace.lowercased()
                sections[section, default: [:]][name] = String(content[content.index(after: equals)...].trimmingSpace)
            }
        }
        return sections
    }

    /// The text of a file of up to 1 MiB; nil where it cannot be read.
    static func text(at path: String) -> String? {
        // Links are usual here: tokens of containers are links that their keeper replaces.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while bytes.count < 1 << 20 {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            if count < 0 { return nil }
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
