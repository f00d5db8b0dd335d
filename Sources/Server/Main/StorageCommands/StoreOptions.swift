public import ArgumentParser
import Foundation
import Glibc
import Logging
public import Server

/// Where the configuration is that names the stores.
public struct StoreOptions: ParsableArguments {
    @Option(help: "The configuration file, the daemon's own.")
    var config: String?

    @Option(help: "The data directory, instead of dataDir of the file.")
    var dataDir: String?

    /// Options that are not read yet.
    public init() {}

    /// The configuration in force; a file that cannot be used ends the program with its problems, a line each.
    public func load() throws -> Server.Configuration {
        do throws(Server.Configuration.LoadError) {
            return try Server.Configuration.load(path: config, environment: ProcessInfo.processInfo.environment)
                .applying(.init(dataDirectory: dataDir)).configuration
        } catch {
            StandardError.write("\(error)")
            throw ExitCode(1)
        }
    }

    /// The configuration of a worker, which writes its log in the form that it names.
    public func loadForWorker(_ component: String) throws -> Server.Configuration {
        let configuration = try load()
        LoggingSystem.bootstrap { _ in
            LogLineHandler(
                level: configuration.logging.level, format: configuration.logging.format, component: component)
        }
        // A peer that hangs up is an error of that call, not the end of the program.
        signal(SIGPIPE, SIG_IGN)
        return configuration
    }
}

/// Lines to standard error.
public enum StandardError {
    /// Writes a line.
    public static func write(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }
}
