import YAML

/// Reads the mapping of one configuration file: finds out which format it is in, applies every key, and collects
/// everything that is wrong instead of stopping at the first.
struct ConfigurationReader {
    /// The file, for the problems' places.
    let source: String
    private(set) var configuration = Configuration.defaults
    private(set) var problems: [Configuration.Problem] = []
    /// Where each key was found, for problems that only show when all keys are known.
    private(set) var positions: [String: Mark] = [:]

    /// One key of the file that is not a section.
    private struct Entry {
        let path: String
        let key: Mark?
        let value: Node

        var valuePosition: Mark? { value.mark ?? key }
    }

    private static let keys = Dictionary(uniqueKeysWithValues: Configuration.keys.map { ($0.path, $0) })

    /// Reads the file.
    ///
    /// - Returns: the format that it is in.
    mutating func read(_ root: [Node.Pair]) -> Configuration.Format {
        var entries: [Entry] = []
        collect(root, prefix: "", into: &entries)
        let hasForeign = entries.contains { Self.keys[$0.path] == nil && OriginalFormat.owns($0.path) }
        let hasOwn = entries.contains { Self.keys[$0.path] != nil && OriginalFormat.fate(of: $0.path) == nil }
        let isOriginal = hasForeign && !hasOwn
        if isOriginal {
            readOriginal(entries)
        } else {
            for entry in entries { read(entry) }
        }
        problems.sort { ($0.line ?? 0, $0.column ?? 0) < ($1.line ?? 0, $1.column ?? 0) }
        return isOriginal ? .original : .joblet
    }

    /// Lists the keys of a mapping that are not sections. Only sections of either format are descended into, so
    /// neither deep nesting nor aliases make this long.
    private mutating func collect(_ mapping: [Node.Pair], prefix: String, into entries: inout [Entry]) {
        for pair in mapping {
            let (keyNode, value) = (pair.key, pair.value)
            let position = keyNode.mark
            guard let name = keyNode.scalar?.text else {
                let section = prefix.isEmpty ? "the file" : prefix
                add(.error, position, prefix, "\(YAMLScalar.describe(keyNode)) stands where \(section) needs a key")
                continue
            }
            let shown = KeyNames.shown(name)
            let path = prefix.isEmpty ? shown : "\(prefix).\(shown)"
            let isSection = KeyNames.sections.contains(path)
            guard isSection || OriginalFormat.isSection(path) else {
                entries.append(Entry(path: path, key: position, value: value))
                continue
            }
            if let inner = value.pairs {
                collect(inner, prefix: path, into: &entries)
            } else if !value.isNull {
                if isSection {
                    let allowed = KeyNames.names(in: path).joined(separator: ", ")
                    let found = YAMLScalar.describe(value)
                    add(
                        .error, value.mark, path,
                        "expected a mapping with the keys \(allowed), not \(found)")
                } else {
                    entries.append(Entry(path: path, key: position, value: value))
                }
            }
        }
    }

    /// Applies one key of a file in Joblet's own format.
    private mutating func read(_ entry: Entry) {
        if let key = Self.keys[entry.path] {
            if entry.value.isNull {
                let message = "no value; expected \(key.allowed), or leave the key out for its default"
                add(.error, entry.key, entry.path, message)
            } else {
                apply(key, entry)
            }
        } else if case .ignored(let reason) = OriginalFormat.fate(of: entry.path) {
            add(.error, entry.key, entry.path, "not a key of this format: \(reason); remove it")
        } else if case .renamed(let path) = OriginalFormat.fate(of: entry.path) {
            add(.error, entry.key, entry.path, "not a key of this format; it is \(path) here")
        } else if OriginalFormat.fate(of: entry.path) == .converted {
            add(.error, entry.key, entry.path, "not a key of this format; see storage.*")
        } else {
            add(.error, entry.key, entry.path, "unknown key; \(KeyNames.advice(for: entry.path))")
        }
    }

    /// Applies the keys of a file in the original's format: what means the same is taken over, for the rest there is
    /// one warning each. A key without a value means its default there.
    private mutating func readOriginal(_ entries: [Entry]) {
        let taken = Set(entries.filter { !$0.value.isNull }.map(\.path))
        let entries = (0...2).flatMap { rank in entries.filter { OriginalFormat.rank(of: $0.path) == rank } }
        for entry in entries {
            switch OriginalFormat.fate(of: entry.path, in: taken) {
            case .same:
                if let key = Self.keys[entry.path], !entry.value.isNull { apply(key, entry) }
            case .renamed(let path):
                if let key = Self.keys[path], !entry.value.isNull { apply(key, entry) }
            case .converted: convert(entry)
            case .ignored(let reason):
                add(.warning, entry.key, entry.path, "has no effect here: \(reason)")
            case nil:
                let advice = KeyNames.suggestion(for: entry.path).map { "; did you mean \($0)?" } ?? ""
                add(.warning, entry.key, entry.path, "unknown key, has no effect\(advice)")
            }
        }
        if taken.contains(OriginalFormat.graceKey), configuration.joblet.cleanupTimeout == .zero {
            configuration.joblet.cleanupTimeout = OriginalFormat.graceForZero
        }
    }

    /// Applies a key of the original that our keys say in other words.
    private mutating func convert(_ entry: Entry) {
        guard !entry.value.isNull else { return }
        let conversion = YAMLScalar(entry.value).flatMap { scalar in
            OriginalFormat.conversions[entry.path].map { $0(scalar.text) }
        }
        switch conversion {
        case .values(let values):
            for (path, value) in values {
                guard let key = Self.keys[path] else { continue }
                apply(key, Entry(path: entry.path, key: entry.valuePosition, value: Node(.scalar(.init(value)))))
            }
        case .ignored(let reason): add(.warning, entry.key, entry.path, "has no effect here: \(reason)")
        case .refused(let allowed):
            let found = YAMLScalar.describe(entry.value)
            add(.error, entry.valuePosition, entry.path, "expected \(allowed), not \(found)")
        case nil:
            let found = YAMLScalar.describe(entry.value)
            add(.error, entry.valuePosition, entry.path, "expected a single value, not \(found)")
        }
    }

    private mutating func apply(_ key: ConfigurationKey, _ entry: Entry) {
        positions[key.path] = entry.valuePosition
        do {
            try key.read(entry.value, &configuration)
        } catch {
            for finding in error.findings {
                add(
                    .error, finding.position ?? entry.valuePosition, entry.path + finding.element, finding.message)
            }
        }
    }

    private mutating func add(
        _ severity: Configuration.Problem.Severity, _ position: Mark?, _ keyPath: String, _ message: String
    ) {
        problems.append(
            Configuration.Problem(severity, source: source, at: position, keyPath: keyPath, message))
    }
}
