/// The command line as the parser takes it.
///
/// Options that belong to every command may stand in front of it, which the parser does not allow, and `run`, `list`
/// and the other verbs of `job` may stand alone. What belongs to the command of a job is fenced off behind `--`, so
/// that nothing in it is taken for an option.
struct ArgumentOrder: Equatable {
    let arguments: [String]
    /// Whether `--json` was asked for, which also decides how a wrong command line is reported.
    let wantsJSON: Bool

    init(_ words: [String]) {
        var words = words[...]
        let shared = Self.sharedOptions(&words)
        var path: [String] = []
        if let first = words.first, !first.hasPrefix("-") {
            words.removeFirst()
            if Self.jobVerbs.contains(first) {
                path = ["job", first]
            } else if first == "help", let verb = words.first, Self.jobVerbs.contains(verb) {
                path = ["help", "job"]
            } else {
                path = [first]
            }
        } else if words.first == "-v" || words.first == "--version" {
            words.removeFirst()
            path = ["version"]
        }
        var later: [String] = []
        if let group = path.first, path.count == 1, Self.groups.contains(group) {
            later = Self.sharedOptions(&words)
            if let verb = words.first, !verb.hasPrefix("-") {
                path.append(verb)
                words.removeFirst()
            }
        }
        let options = path.isEmpty || path[0] == "help" ? [] : shared + later
        if path == ["job", "run"] {
            let run = RunOrder(words)
            arguments = path + options + run.options + (run.command.isEmpty ? [] : ["--"] + run.command)
            wantsJSON = (options + run.options).contains("--json")
        } else {
            arguments = path + options + words
            wantsJSON = (shared + later + words.prefix { $0 != "--" }).contains("--json")
        }
    }

    /// Commands that have commands of their own.
    private static let groups: Set<String> = ["job", "storage"]

    static let jobVerbs: Set<String> = [
        "run", "list", "status", "log", "metrics", "stop", "cancel", "delete", "delete-all", "cp",
    ]

    /// Options of every command that take a value.
    static let sharedValueOptions: Set<String> = ["--config", "--node", "--server", "--cert", "--key", "--ca"]

    /// Takes the options that belong to every command from the front.
    private static func sharedOptions(_ words: inout ArraySlice<String>) -> [String] {
        var options: [String] = []
        while let word = words.first {
            guard word == "--json" || sharedValueOptions.contains(optionName(word)) else { break }
            options += takeOption(&words, sharedValueOptions)
        }
        return options
    }

    /// Takes one option with its value from the front. `--name=value` becomes two words, because the parser would take
    /// the word after `--name=` for its value.
    fileprivate static func takeOption(_ words: inout ArraySlice<String>, _ valueOptions: Set<String>) -> [String] {
        let word = words.removeFirst()
        guard valueOptions.contains(optionName(word)) else { return [word] }
        if let separator = word.firstIndex(of: "=") {
            return [optionName(word), String(word[word.index(after: separator)...])]
        }
        return [word] + (words.popFirst().map { [$0] } ?? [])
    }

    private static func optionName(_ word: String) -> String {
        word.firstIndex(of: "=").map { String(word[..<$0]) } ?? word
    }
}

/// Where the options of `job run` end and the command of the job begins: at the first word that is no option, or
/// after `--`.
struct RunOrder: Equatable {
    let options: [String]
    let command: [String]

    init(_ words: ArraySlice<String>) {
        var options: [String] = []
        var words = words
        while let word = words.first, word.hasPrefix("-") {
            if word == "--" {
                words.removeFirst()
                break
            }
            options += ArgumentOrder.takeOption(&words, Self.valueOptions)
        }
        self.options = options
        command = Array(words)
    }

    /// Options whose value may be the next word.
    static let valueOptions: Set<String> = ArgumentOrder.sharedValueOptions.union([
        "--schedule", "--max-cpu", "--cpu", "--max-memory", "--memory", "--max-iobps", "--cpu-cores", "--gpu",
        "--gpu-memory", "--upload", "--upload-dir", "--network", "--volume", "--runtime", "--env", "-e",
        "--secret-env", "-s", "--name", "--work-dir", "--workdir", "--timeout", "--label", "--durability",
        "--output-policy", "--workflow",
    ])
}
