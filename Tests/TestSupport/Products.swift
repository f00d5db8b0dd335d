import Foundation

/// The programs that the package builds, beside the test runner.
public enum Products {
    /// The path of the built program called `name`.
    public static func path(_ name: String) -> String {
        let runner = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        // The runner of `swift test` is swiftpm's own helper where the tests are a loaded bundle.
        for folder in [
            runner.deletingLastPathComponent(),
            URL(fileURLWithPath: CommandLine.arguments[0])
                .deletingLastPathComponent(),
        ] {
            let path = folder.appendingPathComponent(name).path
            if FileManager.default.isExecutableFile(atPath: path) { return path }
        }
        return runner.deletingLastPathComponent().appendingPathComponent(name).path
    }
}
