import Foundation
import GRDB

/// The stored blocks of a database, for a test to change.
struct Rows {
    private struct Block {
        var id: Int64
        var header: Data
        var parts: [Data]
    }

    private var blocks: [Block]

    init(_ db: Database) throws {
        blocks = try Row.fetchAll(
            db,
            sql: """
                SELECT blocks.id, header, fragments, stdout, stderr FROM blocks JOIN contents USING (id)
                ORDER BY blocks.id
                """
        ).map { row in Block(id: row[0], header: row[1], parts: [row[2], row[3], row[4]]) }
    }

    /// The rows with one value of one block changed.
    func mutated(_ random: inout some RandomNumberGenerator, _ change: ([UInt8]) -> [UInt8]) -> Rows {
        var rows = self
        guard let index = blocks.indices.randomElement(using: &random) else { return self }
        let part = Int.random(in: 0..<4, using: &random)
        if part == 3 {
            rows.blocks[index].header = Data(change(Array(blocks[index].header)))
        } else {
            rows.blocks[index].parts[part] = Data(change(Array(blocks[index].parts[part])))
        }
        return rows
    }

    func write(to db: Database) throws {
        for block in blocks {
            try db.execute(sql: "UPDATE blocks SET header = ? WHERE id = ?", arguments: [block.header, block.id])
            try db.execute(
                sql: "UPDATE contents SET fragments = ?, stdout = ?, stderr = ? WHERE id = ?",
                arguments: StatementArguments(block.parts) + [block.id])
        }
    }
}
