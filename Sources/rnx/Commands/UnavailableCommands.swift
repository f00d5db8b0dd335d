import ArgumentParser
import GRPCCore

/// A command that users of the original know and whose feature this version does not have: it says so, whatever else
/// is on the line.
protocol UnavailableCommand: ParsableCommand {
    /// The word that stands for it.
    static var name: String { get }
    /// What is missing, in the plural.
    static var feature: String { get }
}

extension UnavailableCommand {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: name, abstract: "Not available in this version.", shouldDisplay: false)
    }

    func run() throws {
        throw Failure(.server(.unimplemented), "\(Self.feature) are not available in this version of rnx")
    }
}

/// `--workflow`, which users of the original know: it says that there are none.
struct WorkflowOption: ParsableArguments {
    @Option(parsing: .unconditional, help: .hidden)
    var workflow: String?

    func refuse() throws(Failure) {
        guard workflow != nil else { return }
        throw Failure(.server(.unimplemented), "\(WorkflowCommand.feature) are not available in this version of rnx")
    }
}

/// `rnx workflow`.
struct WorkflowCommand: UnavailableCommand {
    static let name = "workflow"
    static let feature = "workflows"

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var words: [String] = []
}

/// `rnx network`.
struct NetworkCommand: UnavailableCommand {
    static let name = "network"
    static let feature = "networks"

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var words: [String] = []
}

/// `rnx volume`.
struct VolumeCommand: UnavailableCommand {
    static let name = "volume"
    static let feature = "volumes"

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var words: [String] = []
}

/// `rnx runtime`.
struct RuntimeCommand: UnavailableCommand {
    static let name = "runtime"
    static let feature = "runtimes"

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var words: [String] = []
}

/// `rnx monitor`.
struct MonitorCommand: UnavailableCommand {
    static let name = "monitor"
    static let feature = "system metrics"

    @Argument(parsing: .captureForPassthrough, help: .hidden)
    var words: [String] = []
}
