-- Open transactions of our database, the oldest first, prepared ones too, which no session holds any more.
SELECT pid, NULL AS prepared_name, usename AS user_name, application_name AS application, state,
    xact_start AS started_at, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
    extract(epoch FROM clock_timestamp() - state_change)::float8 AS state_seconds,
    age(coalesce(backend_xmin, backend_xid))::bigint AS held_back_xids, query AS statement,
    format('SELECT %%s(%%s);', CASE WHEN state LIKE 'idle%%' THEN 'pg_terminate_backend' ELSE 'pg_cancel_backend' END, pid)
        AS action
FROM pg_stat_activity
WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
    AND application_name <> %(diagnostics)s AND (backend_type = 'client backend' OR backend_type IS NULL)
UNION ALL
SELECT NULL, gid, owner::text, NULL, 'prepared', prepared,
    extract(epoch FROM clock_timestamp() - prepared)::float8, NULL, age(transaction)::bigint, NULL,
    format('ROLLBACK PREPARED %%L;', gid)
FROM pg_prepared_xacts
WHERE database = current_database()
ORDER BY started_at
LIMIT %(limit)s
