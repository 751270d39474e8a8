-- Sessions of our database by application and state. What the role may not see has neither kind nor state; sessions that
-- ask diagnostics, this one too, are left out.
SELECT application_name AS application, coalesce(state, 'unknown') AS state, count(*) AS sessions,
    extract(epoch FROM max(clock_timestamp() - state_change))::float8 AS longest_seconds
FROM pg_stat_activity
WHERE datname = current_database() AND (backend_type = 'client backend' OR backend_type IS NULL)
    AND pid <> pg_backend_pid() AND application_name <> %(diagnostics)s
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
LIMIT %(limit)s
