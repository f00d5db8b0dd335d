/// The command line of a benchmark program: `--name value` and nothing else.
package struct Options {
    /// A directory for everything that is written.
    package let work: String
    /// The file of the figures.
    package let output: String
    /// The durability level that is measured.
    package let durability: String
    /// The names of the groups to measure; none for all.
    package let only: [String]
    private let others: [String: String]

    /// Throws for an option that is neither one of every benchmark program nor one of `others`.
    package init(_ arguments: some Sequence<String>, others: Set<String> = []) throws {
        var values: [String: String] = [:]
        let known = others.union(["--work", "--output", "--durability", "--only"])
        var rest = Array(arguments)[...]
        while let option = rest.popFirst() {
            guard known.contains(option) else { throw Wrong("no option \(option)") }
            guard let value = rest.popFirst() else { throw Wrong("\(option) needs a value") }
            values[option] = value
        }
        guard let work = values["--work"] else { throw Wrong("--work is missing") }
        self.work = work
        output = values["--output"] ?? "bench-results.json"
        durability = values["--durability"] ?? "process"
        only = values["--only", default: ""].split(separator: ",").map(String.init)
        self.others = values
    }

    /// The value of an option of this program alone; throws where it is missing.
    package func value(of option: String) throws -> String {
        guard let value = others[option] else { throw Wrong("\(option) is missing") }
        return value
    }
}

/// Something that is not as it must be, whatever it costs.
package struct Wrong: Error, CustomStringConvertible {
    package let description: String

    /// What is wrong.
    package init(_ description: String) {
        self.description = description
    }
}
