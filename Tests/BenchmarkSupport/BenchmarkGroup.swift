import Foundation

/// What is measured in one go; the raw value is its name on the command line.
package protocol BenchmarkGroup: RawRepresentable<String>, CaseIterable, Sendable {
    /// What a group needs to know.
    associatedtype Surroundings: Sendable

    /// Measures; throws where something is wrong, never because it is slow.
    func measure(_ surroundings: Surroundings) async throws -> [Figure]
}

extension BenchmarkGroup {
    /// Measures the groups that the options name, one after another, writes the figures and prints the table.
    ///
    /// Ends the program: with 1 where something was wrong.
    package static func main(_ arguments: @Sendable () throws -> (Options, Surroundings)) async -> Never {
        var isRight = true
        do {
            let (options, surroundings) = try arguments()
            var report = try Report(durability: options.durability, path: options.output)
            for group in try groups(options.only) {
                say("measuring \(group.rawValue)")
                do {
                    try report.add(try await group.measure(surroundings))
                } catch {
                    // The other groups are still worth knowing.
                    isRight = false
                    say("\(group.rawValue): \(error)")
                }
            }
            print(report.table, terminator: "")
        } catch {
            isRight = false
            say("\(error)")
        }
        exit(isRight ? 0 : 1)
    }

    private static func groups(_ names: [String]) throws -> [Self] {
        if names.isEmpty { return Array(allCases) }
        return try names.map { name in
            guard let group = Self(rawValue: name) else {
                throw Wrong("no group \(name): \(allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return group
        }
    }

    private static func say(_ text: String) {
        FileHandle.standardError.write(Data("bench: \(text)\n".utf8))
    }
}
