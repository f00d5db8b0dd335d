import FoundationEssentials
import GRPCCore

/// A path inside a copied tree as a server sent it, known to stay inside.
struct CopyPath: Equatable {
    /// A name of any bytes but NUL and `/`, with a NUL behind them, as system calls take it.
    typealias Name = [CChar]

    /// Folder names from the top of the copy.
    let folders: [Name]
    /// The entry itself; nil for the top.
    let name: Name?

    /// Throws for a path that is absolute, has a `..`, an empty part or a NUL.
    init(_ path: Data) throws(Failure) {
        guard !path.isEmpty else {
            folders = []
            name = nil
            return
        }
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isSafe = parts.allSatisfy { part in
            !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8) && !part.contains(0)
        }
        guard isSafe else {
            throw Failure(.server(.dataLoss), "the server sent a path that leaves the copy: \(Self.text(path))")
        }
        let names = parts.map { part in part.map { CChar(bitPattern: $0) } + [0] }
        folders = names.dropLast()
        name = names.last
    }

    /// Whether a symbolic link at this path stays inside the copy.
    func allows(target: Data) -> Bool {
        guard let first = target.first, first != UInt8(ascii: "/"), !target.contains(0), name != nil else {
            return false
        }
        var depth = folders.count
        for part in target.split(separator: UInt8(ascii: "/")) where !part.elementsEqual(".".utf8) {
            depth += part.elementsEqual("..".utf8) ? -1 : 1
            if depth < 0 { return false }
        }
        return true
    }

    /// A path as text, in which what is not UTF-8 is U+FFFD.
    static func text(_ path: Data) -> String { String(decoding: path, as: UTF8.self) }

    /// A name as text.
    static func text(_ name: Name) -> String {
        String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
