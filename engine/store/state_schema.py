"""The history of state.db's schema. Forward only: never edit a migration that was released, add one."""

from engine.store.sqlite import Migration

MIGRATIONS = (
    Migration(
        number=1,
        name="services, versions, operations, instances",
        sql="""
        CREATE TABLE services (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            arn TEXT NOT NULL,
            subdomain TEXT NOT NULL UNIQUE,
            status TEXT NOT NULL,
            config TEXT NOT NULL,             -- JSON, engine.model.version.ServiceConfig
            mode TEXT NOT NULL,
            target_version_id TEXT,
            serving_version_id TEXT,
            tags TEXT NOT NULL,               -- JSON object
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            deleted_at REAL
        );
        -- A name is free again once its service is deleted.
        CREATE UNIQUE INDEX services_name ON services (name) WHERE status <> 'DELETED';

        CREATE TABLE versions (
            id TEXT PRIMARY KEY,
            service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            operation_id TEXT NOT NULL,
            state TEXT NOT NULL,
            config TEXT NOT NULL,             -- JSON, ServiceConfig
            reuse_of TEXT,
            revision TEXT,                    -- JSON
            plan TEXT,                        -- JSON
            artifact TEXT,                    -- JSON; NULL again when it was thrown away
            created_at REAL NOT NULL,
            built_at REAL,
            UNIQUE (service_id, number)
        );

        CREATE TABLE operations (
            id TEXT PRIMARY KEY,
            service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
            service_arn TEXT NOT NULL,
            service_name TEXT NOT NULL,
            type TEXT NOT NULL,
            status TEXT NOT NULL,
            step TEXT NOT NULL,
            version_id TEXT,
            note TEXT NOT NULL,
            failure TEXT,                     -- JSON
            started_at REAL NOT NULL,
            ended_at REAL,
            updated_at REAL NOT NULL
        );
        CREATE INDEX operations_service ON operations (service_id, started_at);
        CREATE INDEX operations_started ON operations (started_at);
        -- Exactly one operation runs per service.
        CREATE UNIQUE INDEX operations_open ON operations (service_id)
            WHERE status IN ('PENDING', 'IN_PROGRESS', 'ROLLBACK_IN_PROGRESS');

        CREATE TABLE instances (
            id TEXT PRIMARY KEY,
            service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
            version_id TEXT NOT NULL,
            compute TEXT NOT NULL,
            state TEXT NOT NULL,
            handle TEXT,                      -- JSON
            address TEXT,                     -- JSON
            created_at REAL NOT NULL,
            ready_at REAL,
            ended_at REAL,
            exit TEXT,                        -- JSON
            reason TEXT NOT NULL
        );
        CREATE INDEX instances_service ON instances (service_id);
        """,
    ),
    Migration(
        number=2,
        name="what an account has besides services; retention of logs",
        sql="""
        ALTER TABLE services ADD COLUMN retention TEXT NOT NULL DEFAULT '{}';  -- JSON, days by log group

        CREATE TABLE auto_scaling_configurations (
            id TEXT PRIMARY KEY,
            arn TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            revision INTEGER NOT NULL,
            max_concurrency INTEGER NOT NULL,
            min_size INTEGER NOT NULL,
            max_size INTEGER NOT NULL,
            is_default INTEGER NOT NULL,
            tags TEXT NOT NULL,               -- JSON object
            created_at REAL NOT NULL,
            deleted_at REAL
        );
        CREATE TABLE observability_configurations (
            id TEXT PRIMARY KEY,
            arn TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            revision INTEGER NOT NULL,
            vendor TEXT,
            tags TEXT NOT NULL,
            created_at REAL NOT NULL,
            deleted_at REAL
        );
        CREATE TABLE connections (
            id TEXT PRIMARY KEY,
            arn TEXT NOT NULL,
            name TEXT NOT NULL UNIQUE,
            provider_type TEXT NOT NULL,
            status TEXT NOT NULL,
            tags TEXT NOT NULL,
            created_at REAL NOT NULL
        );
        CREATE TABLE secrets (
            id TEXT PRIMARY KEY,              -- of whose secret it is
            sealed TEXT NOT NULL,
            created_at REAL NOT NULL
        );
        CREATE TABLE custom_domains (
            id TEXT PRIMARY KEY,
            service_id TEXT NOT NULL REFERENCES services (id) ON DELETE CASCADE,
            domain_name TEXT NOT NULL UNIQUE,
            www INTEGER NOT NULL,
            validation TEXT NOT NULL,         -- JSON list of CNAME records
            created_at REAL NOT NULL
        );
        CREATE TABLE vpc_connectors (
            id TEXT PRIMARY KEY,
            arn TEXT NOT NULL,
            name TEXT NOT NULL,
            revision INTEGER NOT NULL,
            subnets TEXT NOT NULL,            -- JSON list
            security_groups TEXT NOT NULL,    -- JSON list
            tags TEXT NOT NULL,
            created_at REAL NOT NULL,
            deleted_at REAL
        );
        CREATE TABLE vpc_ingress_connections (
            id TEXT PRIMARY KEY,
            arn TEXT NOT NULL,
            name TEXT NOT NULL,
            target_arn TEXT NOT NULL,
            vpc_id TEXT NOT NULL,
            vpc_endpoint_id TEXT NOT NULL,
            domain_name TEXT NOT NULL,
            tags TEXT NOT NULL,
            created_at REAL NOT NULL,
            updated_at REAL NOT NULL,
            deleted_at REAL
        );
        """,
    ),
    Migration(
        number=3,
        name="image sources are watched",
        sql="""
        ALTER TABLE services ADD COLUMN seen_digest TEXT NOT NULL DEFAULT '';
        """,
    ),
)
