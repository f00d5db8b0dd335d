import GRPCCore

/// A path inside a copied tree as a server sent it, known to stay inside.
struct CopyPath: Equatable {
    /// Folder names from the top of the copy.
    let folders: [String]
    /// The entry itself; empty for the top.
    let name: String

    /// Throws for a path that is absolute, has a `..`, an empty part or a NUL.
    init(_ path: String) throws(Failure) {
        guard !path.isEmpty else {
            folders = []
            name = ""
            return
        }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let isSafe = parts.allSatisfy { part in
            !part.isEmpty && part != "." && part != ".." && !part.unicodeScalars.contains("\0")
        }
        guard isSafe, let last = parts.last else {
            throw Failure(.server(.dataLoss), "the server sent a path that leaves the copy: \(path)")
        }
        folders = Array(parts.dropLast())
        name = last
    }

    /// Whether a symbolic link at this path stays inside the copy.
    func allows(target: String) -> Bool {
        guard !target.isEmpty, !target.hasPrefix("/"), !target.unicodeScalars.contains("\0"), !name.isEmpty else {
            return false
        }
        var depth = folders.count
        for part in target.split(separator: "/") where part != "." {
            depth += part == ".." ? -1 : 1
            if depth < 0 { return false }
        }
        return true
    }
}
