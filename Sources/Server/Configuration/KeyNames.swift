/// The names of the keys, for messages about keys that do not exist.
enum KeyNames {
    /// Every section: the paths that have keys below them.
    static let sections: Set<String> = Set(Configuration.keys.flatMap { ancestors(of: $0.path) })

    /// All paths above a path: `a.b.c` has `a` and `a.b`.
    static func ancestors(of path: String) -> [String] {
        path.indices.filter { path[$0] == "." }.map { String(path[..<$0]) }
    }

    /// The names that may stand in a section, sorted; "" is the top of the file.
    static func names(in section: String) -> [String] {
        let prefix = section.isEmpty ? "" : section + "."
        let names = Configuration.keys.filter { $0.path.hasPrefix(prefix) }.map {
            String($0.path.dropFirst(prefix.count).prefix { $0 != "." })
        }
        return Set(names).sorted()
    }

    /// A name as a part of a path; what is not a plain word is put in quotes, so that `"server.port"` is no path.
    static func shown(_ name: String) -> String {
        // Without a regular expression: this meets every key, and compiling one takes longer than reading the file.
        let isWord = name.allSatisfy { $0 == "_" || $0 == "-" || $0.isASCII && ($0.isLetter || $0.isNumber) }
        return isWord && (1...80).contains(name.utf8.count) ? name : YAMLScalar.quote(name)
    }

    /// What to write instead of an unknown key.
    static func advice(for path: String) -> String {
        let section = ancestors(of: path).last { sections.contains($0) } ?? ""
        let allowed = names(in: section).joined(separator: ", ")
        let place = section.isEmpty ? "at the top of the file" : "in \(section)"
        let suggestion = suggestion(for: path).map { "did you mean \($0)? " } ?? ""
        return "\(suggestion)allowed \(place): \(allowed)"
    }

    /// The path that an unknown one was most likely meant to be: a similar name in the same section, else the same
    /// name elsewhere.
    static func suggestion(for path: String) -> String? {
        let section = ancestors(of: path).last ?? ""
        let name = String(path.dropFirst(section.isEmpty ? 0 : section.count + 1))
        let siblings = names(in: section).map { (name: $0, distance: distance(plain(name), plain($0))) }
        if let best = siblings.min(by: { $0.distance < $1.distance }), best.distance <= max(1, name.count / 3) {
            return section.isEmpty ? best.name : "\(section).\(best.name)"
        }
        let elsewhere = Configuration.keys.map(\.path) + sections.sorted()
        return elsewhere.first { plain(String($0.split(separator: ".").last ?? "")) == plain(name) }
    }

    /// A name without what tells writing styles apart, so that `max_concurrent_jobs` is `maxConcurrentJobs`.
    private static func plain(_ name: String) -> [Character] {
        name.lowercased().filter { $0 != "_" && $0 != "-" }
    }

    /// The fewest letters to insert, remove, exchange, or swap with their neighbour.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        let a = a.prefix(64)
        var beforeLast: [Int] = []
        var last = Array(0...b.count)
        for i in a.indices {
            var row = [i + 1]
            for j in b.indices {
                var best = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
                if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, beforeLast[j - 1] + 1) }
                row.append(best)
            }
            (beforeLast, last) = (last, row)
        }
        return last[b.count]
    }
}
