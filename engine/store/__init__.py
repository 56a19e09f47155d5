"""SQLite: schema, migrations and every SQL statement."""
