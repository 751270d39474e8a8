-- The sessions of our database that are in their state for longest, those that work first.
SELECT pid, usename AS user_name, application_name AS application, host(client_addr) AS client_address, state,
    state_change AS state_since, extract(epoch FROM clock_timestamp() - state_change)::float8 AS seconds,
    CASE WHEN state <> 'idle' AND wait_event_type <> 'Client' THEN wait_event_type || ': ' || wait_event END
        AS waits_for, query AS statement
FROM pg_stat_activity
WHERE datname = current_database() AND (backend_type = 'client backend' OR backend_type IS NULL)
    AND pid <> pg_backend_pid() AND application_name <> %(diagnostics)s
ORDER BY state IS NULL, state = 'idle', state_change, pid
LIMIT %(limit)s
