extension ValueFormat where Value == Duration {
    /// An age; zero is none.
    static var age: Self { .duration(.zero ... .hours(876_000)) }

    /// The time between two looks at what is stored.
    static var cleanupInterval: Self { .duration(.seconds(1) ... .hours(8760)) }
}

extension ValueFormat where Value == String {
    /// The name of a bucket, or "" for none.
    static var bucket: Self {
        text(
            "a bucket's name (3 to 63 small letters, digits, dots and dashes), or \"\"",
            #/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/#)
    }

    /// The name of a table.
    static var table: Self {
        Self(
            allowed: "a table's name (3 to 255 letters, digits, dots, dashes and underscores)",
            parse: { $0.text.wholeMatch(of: #/[A-Za-z0-9_.-]{3,255}/#) == nil ? nil : $0.text }, show: { $0 })
    }

    /// The beginning of objects' names, or "" for none.
    static var objectPrefix: Self {
        text(
            "words of letters, digits, dots, dashes and underscores with slashes between them, or \"\"",
            #/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,7}/#)
    }

    /// The name of a region, or "" to find it out.
    static var region: Self {
        text("a region such as eu-central-1, or \"\"", #/[a-z0-9][a-z0-9-]{1,62}/#)
    }

    /// The URL of a service, or "" for that of AWS.
    static var endpoint: Self {
        text(
            "a URL such as http://127.0.0.1:9000, without a path, or \"\"",
            #/https?://([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?/#)
    }

    /// Characters without spaces, or "".
    static func word(_ limit: Int) -> Self {
        Self(
            allowed: "at most \(limit) characters without spaces, or \"\"",
            parse: { scalar in
                let isWord = scalar.text.unicodeScalars.allSatisfy { (0x21...0x7e).contains($0.value) }
                return isWord && scalar.text.utf8.count <= limit ? scalar.text : nil
            }, show: { $0 })
    }

    /// Where to listen, `host:port`, or "" for nowhere.
    static var hostAndPortOrNone: Self {
        Self(
            allowed: "host:port, :port or [IPv6 address]:port, or \"\"",
            parse: { scalar in
                if scalar.text.isEmpty { return "" }
                guard let port = Configuration.hostAndPort(scalar.text)?.port, port > 0 else { return nil }
                return scalar.text
            }, show: { $0 })
    }

    /// The expression is compiled when there is a value: most files have none of these keys.
    private static func text(
        _ allowed: String, _ pattern: @autoclosure @escaping @Sendable () -> Regex<some Any>
    ) -> Self {
        Self(
            allowed: allowed,
            parse: { $0.text.isEmpty || $0.text.wholeMatch(of: pattern()) != nil ? $0.text : nil }, show: { $0 })
    }
}
