import ArgumentParser
import Server

/// `joblet config`: looks at a configuration without starting anything.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Looks at the configuration.", subcommands: [Check.self])

    /// `joblet config check`: says what is wrong, or what is in force.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Checks the configuration and prints every key with the value in force.")

        @OptionGroup var options: ConfigurationOptions

        func run() throws {
            let loaded = try options.load()
            for warning in loaded.warnings { StandardError.write("warning: \(warning)") }
            print("# \(loaded.file ?? "no file: defaults")")
            for setting in loaded.configuration.settings { print("\(setting.key): \(setting.value)") }
        }
    }
}
