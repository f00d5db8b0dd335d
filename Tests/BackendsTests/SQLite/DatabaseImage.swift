import Foundation
import GRDB
import TestSupport

@testable import Backends

/// A database and its journal as a killed process leaves them, to be cut and damaged.
struct DatabaseImage: Sendable {
    static let suffixes = ["", "-wal"]

    /// What is changed in one of the files.
    struct Damage: Sendable, CustomStringConvertible {
        let suffix: String
        let description: String
        fileprivate let change: @Sendable (inout [UInt8]) -> Void
    }

    private var files: [String: [UInt8]]
    private let pageBytes: Int

    /// Copies the files of a database that is open: closing would empty the journal.
    init(of file: String, pageBytes: Int = 4096) throws {
        files = try Dictionary(
            uniqueKeysWithValues: Self.suffixes.map { suffix in
                (suffix, [UInt8](try Data(contentsOf: URL(fileURLWithPath: file + suffix))))
            })
        self.pageBytes = pageBytes
    }

    /// Writes the files to `file`, with that damage, in the place of all that was there.
    func write(to file: String, _ damage: Damage) throws {
        for suffix in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: file + suffix) {
            try FileManager.default.removeItem(atPath: file + suffix)
        }
        var damaged = files
        damage.change(&damaged[damage.suffix, default: []])
        for (suffix, bytes) in damaged { try Data(bytes).write(to: URL(fileURLWithPath: file + suffix)) }
    }

    /// Cuts at pages and frames, beside them, and anywhere.
    func cuts(seed: UInt64) -> [Damage] {
        var random = SeededGenerator(seed: seed)
        return Self.suffixes.flatMap { suffix -> [Damage] in
            let size = files[suffix]?.count ?? 0
            let step = suffix.isEmpty ? pageBytes : pageBytes + 24
            var places = stride(from: 0, through: size, by: step * max(1, size / step / 12)).flatMap {
                [$0, $0 + 1, $0 + 32]
            }
            places += (0..<12).map { _ in Int.random(in: 0..<size, using: &random) }
            return places.filter { $0 < size }.map { place in
                Damage(suffix: suffix, description: "\(suffix) cut at \(place)") { $0.removeLast($0.count - place) }
            }
        }
    }

    /// Single bits, half of them where the structure of pages is.
    func flips(_ count: Int, seed: UInt64) -> [Damage] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { turn in
            let suffix = Self.suffixes[turn % 2]
            let size = files[suffix]?.count ?? 0
            let page = Int.random(in: 0..<max(1, size / pageBytes), using: &random) * pageBytes
            let place =
                turn % 4 < 2
                ? min(size - 1, page + Int.random(in: 0..<200, using: &random)) : .random(in: 0..<size, using: &random)
            let bit = UInt8.random(in: 0..<8, using: &random)
            return Damage(suffix: suffix, description: "\(suffix) bit \(bit) of byte \(place)") {
                $0[place] ^= 1 << bit
            }
        }
    }
}
