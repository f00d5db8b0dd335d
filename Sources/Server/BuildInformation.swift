/// What this build is.
public enum BuildInformation {
    /// The program's version.
    public static let version = "0.1.0"
    /// System and architecture, in the words of the original: `linux/amd64`.
    public static let platform: String = {
        #if arch(x86_64)
            "linux/amd64"
        #elseif arch(arm64)
            "linux/arm64"
        #else
            "linux"
        #endif
    }()
}
