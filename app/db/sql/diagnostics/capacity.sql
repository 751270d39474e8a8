-- Connections count for the whole server, whatever the database. reserved_connections is there from PostgreSQL 16 on.
SELECT count(*) FILTER (WHERE backend_type = 'client backend' OR (backend_type IS NULL AND datid IS NOT NULL)) AS used,
    current_setting('max_connections')::int AS maximum,
    current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved
FROM pg_stat_activity
