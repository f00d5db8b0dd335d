import GRDB

/// The tables of job records; each version of the schema is one migration, never changed once shipped.
enum JobSchema {
    /// Brings a database to the newest schema.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE jobs (
                        id TEXT NOT NULL PRIMARY KEY,
                        version INTEGER NOT NULL,
                        node TEXT NOT NULL,
                        incarnation TEXT NOT NULL,
                        status TEXT NOT NULL,
                        name TEXT NOT NULL,
                        created_at INTEGER NOT NULL,
                        record TEXT NOT NULL
                    ) STRICT;
                    CREATE INDEX jobs_by_time ON jobs (created_at, id);
                    CREATE INDEX jobs_by_node ON jobs (node, created_at, id);
                    CREATE INDEX jobs_by_status ON jobs (status, created_at, id);
                    CREATE INDEX jobs_by_name ON jobs (name, created_at, id);
                    CREATE TABLE tombstones (
                        id TEXT NOT NULL PRIMARY KEY,
                        version INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE nodes (
                        id TEXT NOT NULL PRIMARY KEY,
                        incarnation TEXT NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    """)
        }
        migrator.registerMigration("2") { db in
            // Tombstones of the first version begin their time now.
            try db.execute(
                sql: """
                    ALTER TABLE tombstones ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
                    UPDATE tombstones SET deleted_at = unixepoch() * 1000000000;
                    CREATE INDEX tombstones_by_time ON tombstones (deleted_at);
                    """)
        }
        migrator.registerMigration("3") { db in
            try db.execute(sql: "ALTER TABLE jobs ADD COLUMN checksum INTEGER")
        }
        return migrator
    }
}
