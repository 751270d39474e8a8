-- What the doctor asks of the server and of this session. pg_stat_statements has settings of its own only where it was
-- preloaded, and everybody may read those, unlike shared_preload_libraries.
SELECT
    current_setting('server_version_num')::int AS version,
    pg_encoding_to_char(encoding) AS encoding,
    current_setting('fsync') = 'on' AS has_fsync,
    current_setting('full_page_writes') = 'on' AS has_full_page_writes,
    current_setting('data_checksums') = 'on' AS has_checksums,
    pg_is_in_recovery() AS is_standby,
    rolsuper AS is_superuser,
    quote_ident(rolname) AS role,
    current_setting('statement_timeout') <> '0' AS has_statement_timeout,
    current_setting('lock_timeout') <> '0' AS has_lock_timeout,
    current_setting('idle_in_transaction_session_timeout') <> '0' AS has_idle_timeout,
    current_setting('TimeZone') AS time_zone,
    EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS has_statements,
    current_setting('pg_stat_statements.max', true) IS NOT NULL AS preloads_statements,
    EXISTS (SELECT FROM pg_extension WHERE extname = 'pgstattuple') AS has_tuples,
    EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgstattuple') AS may_have_tuples,
    clock_timestamp() AS now
FROM pg_database
CROSS JOIN pg_roles
WHERE datname = current_database() AND rolname = current_user
