/// Holds the credentials that are in use, and fetches new ones before they end.
///
/// Calls that need credentials at the same time wait for one fetch. Within five minutes of the end a failed fetch
/// leaves the old ones in use as long as they last.
package actor CredentialCache {
    /// Where credentials come from.
    package typealias Load = @Sendable () async throws(CredentialsError) -> Credentials

    private static let refreshBefore: Int64 = 300
    private let load: Load
    private let now: @Sendable () -> Int64
    private var current: Credentials?
    private var fetch: Task<Result<Credentials, CredentialsError>, Never>?

    /// A cache in front of `load`; `now` gives seconds since 1970.
    package init(now: @escaping @Sendable () -> Int64 = { AWSDate.now() }, load: @escaping Load) {
        self.now = now
        self.load = load
    }

    /// Credentials that last for the next call.
    package func credentials() async throws(CredentialsError) -> Credentials {
        if let current, current.expiration.map({ $0 - now() > Self.refreshBefore }) ?? true { return current }
        do throws(CredentialsError) {
            return try await refresh()
        } catch {
            if let current, current.expiration.map({ $0 > now() }) ?? true { return current }
            throw error
        }
    }

    /// Fetches again, because the service says that `credentials` are no longer good.
    package func replace(_ credentials: Credentials) {
        if current == credentials { current = nil }
    }

    private func refresh() async throws(CredentialsError) -> Credentials {
        let running: Task<Result<Credentials, CredentialsError>, Never>
        if let fetch {
            running = fetch
        } else {
            let load = load
            // A task of its own: the caller that began it may be cancelled while others wait.
            running = Task { () async -> Result<Credentials, CredentialsError> in
                do throws(CredentialsError) {
                    return .success(try await load())
                } catch {
                    return .failure(error)
                }
            }
            fetch = running
        }
        let result = await running.value
        if fetch == running {
            fetch = nil
            if case .success(let credentials) = result { current = credentials }
        }
        return try result.get()
    }
}
