import GRDB

/// The tables of logs; each version of the schema is one migration, never changed once shipped.
enum LogSchema {
    /// Brings a database to the newest schema.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE logs (
                        job TEXT NOT NULL PRIMARY KEY,
                        stored INTEGER NOT NULL,
                        earliest INTEGER NOT NULL,
                        latest INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE blocks (
                        job TEXT NOT NULL,
                        id INTEGER NOT NULL,
                        header BLOB NOT NULL,
                        PRIMARY KEY (job, id)
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE contents (
                        id INTEGER NOT NULL PRIMARY KEY,
                        fragments BLOB NOT NULL,
                        stdout BLOB NOT NULL,
                        stderr BLOB NOT NULL
                    ) STRICT;
                    CREATE TABLE tombstones (
                        job TEXT NOT NULL PRIMARY KEY,
                        deleted_at INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX tombstones_by_time ON tombstones (deleted_at);
                    """)
        }
        return migrator
    }
}
