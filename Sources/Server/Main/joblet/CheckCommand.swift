import ArgumentParser
import Engine
import Server

/// `joblet check`: what this host offers and what it would refuse.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Prints what this host offers and what would be refused.")

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let configuration = try options.load().configuration
        print(HostCapabilities.probe(for: configuration.engine(shimProgram: "")).text, terminator: "")
    }
}
