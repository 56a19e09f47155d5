"""The history of audit.db's schema. Forward only: never edit a migration that was released, add one."""

from engine.store.sqlite import Migration

MIGRATIONS = (
    Migration(
        number=1,
        name="calls",
        sql="""
        CREATE TABLE call (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- a number is never used again
            id TEXT NOT NULL,
            at REAL NOT NULL,
            source TEXT NOT NULL,
            name TEXT NOT NULL,
            read_only INTEGER NOT NULL,
            refused INTEGER NOT NULL,
            user TEXT NOT NULL,
            access_key_id TEXT NOT NULL,
            error_code TEXT NOT NULL,
            resources TEXT NOT NULL,          -- ARNs between line ends, one at each end
            event TEXT NOT NULL               -- JSON, CloudTrail's shape
        );
        -- Polling, and whoever calls in vain, makes nearly all records: changes outlive them.
        CREATE INDEX call_minor ON call (read_only OR error_code <> '', seq);
        CREATE INDEX call_name ON call (name, seq);
        CREATE INDEX call_id ON call (id);
        CREATE INDEX call_at ON call (at);
        """,
    ),
)
