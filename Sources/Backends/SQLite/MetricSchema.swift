import GRDB

/// The tables of samples; each version of the schema is one migration, never changed once shipped.
enum MetricSchema {
    /// Brings a database to the newest schema.
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in
            try db.execute(
                sql: """
                    CREATE TABLE jobs (
                        number INTEGER PRIMARY KEY,
                        id TEXT NOT NULL UNIQUE,
                        next INTEGER NOT NULL
                    ) STRICT;
                    CREATE TABLE samples (
                        job INTEGER NOT NULL,
                        sequence INTEGER NOT NULL,
                        time INTEGER NOT NULL,
                        PRIMARY KEY (job, sequence)
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX samples_by_time ON samples (job, time, sequence);
                    CREATE TABLE points (
                        job INTEGER NOT NULL,
                        sequence INTEGER NOT NULL,
                        place INTEGER NOT NULL,
                        metric_type TEXT NOT NULL,
                        labels TEXT NOT NULL,
                        "values" TEXT NOT NULL,
                        PRIMARY KEY (job, sequence, place)
                    ) STRICT, WITHOUT ROWID;
                    CREATE TABLE deleted (
                        id TEXT NOT NULL PRIMARY KEY
                    ) STRICT, WITHOUT ROWID;
                    """)
        }
        migrator.registerMigration("2") { db in
            try db.execute(sql: "ALTER TABLE samples ADD COLUMN checksum INTEGER")
        }
        return migrator
    }
}
