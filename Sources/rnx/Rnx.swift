import ArgumentParser
import Glibc

/// The program: arranges the command line, runs one command, and says in one line what went wrong.
@main
enum Rnx {
    static func main() async {
        // A reader that leaves (`rnx job log X | head`) is seen as EPIPE where it can be handled.
        signal(SIGPIPE, SIG_IGN)
        StandardStreams.occupy()
        exit(await run(rawArguments: CommandLine.unsafeArgv))
    }

    private static func run(rawArguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) async -> Int32 {
        var words: [String] = []
        var index = 1
        while let raw = rawArguments[index] {
            guard let word = String(validatingCString: raw) else {
                return Failure(.usage, "argument \(index) is not valid UTF-8").report(asJSON: false)
            }
            words.append(word)
            index += 1
        }
        return await run(words)
    }

    /// Runs the command that the words after the program's name ask for and returns the exit code.
    static func run(_ words: [String]) async -> Int32 {
        let line = ArgumentOrder(words)
        do {
            var command = try RootCommand.parseAsRoot(line.arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch let failure as Failure {
            return failure.report(asJSON: line.wantsJSON)
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            return reportParsing(error, asJSON: line.wantsJSON)
        }
    }

    /// Help goes to standard output; everything else is a wrong command line.
    private static func reportParsing(_ error: any Error, asJSON: Bool) -> Int32 {
        guard !RootCommand.exitCode(for: error).isSuccess else {
            do {
                try StandardOutput.write(RootCommand.fullMessage(for: error) + "\n")
                return 0
            } catch {
                return (error as? Failure)?.report(asJSON: false) ?? 0
            }
        }
        return Failure(.usage, RootCommand.message(for: error)).report(asJSON: asJSON)
    }
}
