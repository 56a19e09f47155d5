"""The history of telemetry.db's schema. Forward only: never edit a migration that was released, add one."""

from engine.store.sqlite import Migration

MIGRATIONS = (
    Migration(
        number=1,
        name="log lines, positions in followed files, metrics",
        sql="""
        -- Whom rows are about, interned: a service (name '') or one stream or instance of it. The services row
        -- ('', '') stands for the sampler itself.
        CREATE TABLE subject (
            id INTEGER PRIMARY KEY,
            service_id TEXT NOT NULL,
            name TEXT NOT NULL,
            since REAL NOT NULL,              -- the earliest thing known of it
            seen REAL NOT NULL,               -- when it was last looked up for writing
            UNIQUE (service_id, name)
        );

        CREATE TABLE log (
            seq INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            kind INTEGER NOT NULL,            -- 0 events, 1 deployment, 2 application
            service INTEGER NOT NULL,         -- subject
            stream INTEGER NOT NULL,          -- subject
            text TEXT NOT NULL
        );
        CREATE INDEX log_of_service ON log (service, kind, seq, stream);
        -- Events and deployments of all services; application lines are nearly all lines, a scan serves them.
        CREATE INDEX log_of_kind ON log (kind, seq) WHERE kind < 2;

        -- How far the output file of an instance was read, committed together with the lines read from it.
        CREATE TABLE position (
            instance_id TEXT PRIMARY KEY,
            position INTEGER NOT NULL,        -- bytes
            at REAL NOT NULL
        );

        CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);

        -- One row an interval of `resolution` seconds and subject; clustered by time, so that a second's rows of all
        -- services share pages when they are written, and old ones leave in runs.
        CREATE TABLE metric (
            resolution INTEGER NOT NULL,
            at INTEGER NOT NULL,
            subject INTEGER NOT NULL,
            requests INTEGER NOT NULL,
            status_2xx INTEGER NOT NULL,
            status_3xx INTEGER NOT NULL,
            status_4xx INTEGER NOT NULL,
            status_5xx INTEGER NOT NULL,
            cpu_percent REAL NOT NULL,        -- sum over samples, as the next two
            memory_percent REAL NOT NULL,
            memory_bytes INTEGER NOT NULL,
            samples INTEGER NOT NULL,
            ticks INTEGER NOT NULL,           -- times that somebody looked
            active_instances INTEGER NOT NULL,
            provisioned_instances INTEGER NOT NULL,
            in_flight REAL NOT NULL,          -- sum over seconds
            edge_seconds INTEGER NOT NULL,    -- seconds that the edge had something to say
            latency BLOB,                     -- msgpack {bucket: count}; NULL for none
            PRIMARY KEY (resolution, at, subject)
        ) WITHOUT ROWID;

        CREATE TABLE forgotten (service_id TEXT PRIMARY KEY);
        """,
    ),
)
