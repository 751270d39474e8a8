-- Vacuums of our database that are under way.
SELECT p.pid, p.relid::regclass::text AS table, p.phase,
    round((100.0 * p.heap_blks_scanned / nullif(p.heap_blks_total, 0))::numeric, 1)::float8 AS percent,
    a.backend_type = 'autovacuum worker' AS is_autovacuum
FROM pg_stat_progress_vacuum AS p
LEFT JOIN pg_stat_activity AS a ON a.pid = p.pid
WHERE p.datname = current_database()
ORDER BY p.pid
