/// The proxies that requests go through, from the variables of the environment that other programs read too.
package struct Proxies: Sendable, Hashable {
    /// For `http://` addresses; nil for none.
    package var http: String?
    /// For `https://` addresses; nil for none.
    package var https: String?
    /// Hosts that are asked directly, behind commas; `*` for all.
    package var exceptions: String?

    /// What `environment` says: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, or the same in capitals.
    package init(_ environment: (String) -> String?) {
        func value(_ name: String) -> String? { environment(name) ?? environment(name.uppercased()) }
        http = value("http_proxy") ?? value("all_proxy")
        https = value("https_proxy") ?? value("all_proxy")
        exceptions = value("no_proxy")
    }

    /// The proxy for an address; empty for none.
    func proxy(for url: String) -> String {
        let isEncrypted = url.prefix("https:".count).lowercased() == "https:"
        return (isEncrypted ? https : http) ?? ""
    }
}
