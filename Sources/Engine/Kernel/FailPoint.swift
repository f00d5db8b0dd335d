import Glibc

/// Named places at which a test makes the process fail; nothing in a release build.
///
/// `JOBLET_FAILPOINT=name=action` arms one, `name=action@n` its n-th passing, `name=action@all` each. Actions: `kill`
/// (SIGKILL to itself), `stop` (SIGSTOP to itself), or an error number that the next call reports (`errno:28`).
public enum FailPoint {
    /// The environment variable that arms a place.
    public static let variable = "JOBLET_FAILPOINT"

    #if FAILPOINTS
        private final class Armed: @unchecked Sendable {
            // The counter is touched by whichever thread passes; a test arms one place in one thread.
            let name: String
            let action: String
            let isPermanent: Bool
            var remaining: Int

            init?(_ text: String) {
                guard let equals = text.firstIndex(of: "=") else { return nil }
                name = String(text[..<equals])
                let rest = text[text.index(after: equals)...].split(separator: "@")
                guard let action = rest.first else { return nil }
                self.action = String(action)
                isPermanent = rest.count > 1 && rest[1] == "all"
                remaining = rest.count > 1 ? Int(rest[1]) ?? 1 : 1
            }
        }

        private static let armed: Armed? = getenv(variable).flatMap { Armed(String(cString: $0)) }
    #endif

    /// Passes the place called `name`; throws the error that was armed for it.
    @inline(__always)
    public static func pass(_ name: StaticString) throws(SystemCallError) {
        #if FAILPOINTS
            guard let armed, armed.name == name.description, armed.remaining > 0 else { return }
            if !armed.isPermanent {
                armed.remaining -= 1
                guard armed.remaining == 0 else { return }
            }
            switch armed.action {
            case "kill": kill(getpid(), SIGKILL)
            case "stop": kill(getpid(), SIGSTOP)
            default:
                guard armed.action.hasPrefix("errno:"), let code = Int32(armed.action.dropFirst(6)) else { return }
                throw SystemCallError("\(name)", code: code)
            }
        #endif
    }
}
