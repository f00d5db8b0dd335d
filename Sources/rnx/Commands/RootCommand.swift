import ArgumentParser

/// `rnx`.
struct RootCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rnx",
        abstract: "Run jobs in isolated micro-containers and follow what they say.",
        discussion: """
            Every verb of `job` also works alone: `rnx run`, `rnx list`, `rnx log` …

            Options of every command may stand anywhere: --config, --node, --server, --cert, --key, --ca, --json.
            `rnx config-help` shows where the configuration comes from.
            """,
        subcommands: [
            JobCommand.self, StorageCommand.self, NodesCommand.self, ConfigHelpCommand.self, VersionCommand.self, WorkflowCommand.self,
            NetworkCommand.self, VolumeCommand.self, RuntimeCommand.self, MonitorCommand.self,
        ])
}

/// `rnx job`.
struct JobCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job",
        abstract: "Run jobs and look after them.",
        discussion: "A job's UUID may be shortened to any prefix that is unique.",
        subcommands: [
            RunCommand.self, ListCommand.self, StatusCommand.self, LogCommand.self, MetricsCommand.self,
            StopCommand.self, CancelCommand.self, DeleteCommand.self, DeleteAllCommand.self, CopyCommand.self,
        ])
}
