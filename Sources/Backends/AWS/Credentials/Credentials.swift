/// Text that prints as `***`.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The text itself.
    package let value: String

    /// A secret of the given text.
    package init(_ value: String) {
        self.value = value
    }

    package var description: String { "***" }
    package var debugDescription: String { "***" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// What requests are signed with.
package struct Credentials: Sendable, Hashable {
    /// Names the key; no secret.
    package var accessKeyID: String
    /// The key.
    package var secretAccessKey: Secret
    /// Goes with temporary keys.
    package var sessionToken: Secret?
    /// When temporary keys end, in seconds since 1970; nil for never.
    package var expiration: Int64?

    /// Credentials with the given parts.
    package init(
        accessKeyID: String, secretAccessKey: Secret, sessionToken: Secret? = nil, expiration: Int64? = nil
    ) {
        self.accessKeyID = accessKeyID
        self.secretAccessKey = secretAccessKey
        self.sessionToken = sessionToken
        self.expiration = expiration
    }
}

/// Why there are no credentials.
package struct CredentialsError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was tried and failed, without secrets.
    package var description: String

    /// An error of that description.
    package init(_ description: String) {
        self.description = description
    }
}
