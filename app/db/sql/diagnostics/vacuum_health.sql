-- The dead rows of each table against the number at which autovacuum begins, with the table's own settings where it
-- has any. PostgreSQL 18 has a highest threshold; before there is no such setting.
WITH own AS (
    SELECT c.oid, space.nspname, c.relname, greatest(c.reltuples, 0) AS rows, s.n_live_tup, s.n_dead_tup,
        s.n_mod_since_analyze, s.last_vacuum, s.last_autovacuum, s.last_analyze, s.last_autoanalyze,
        coalesce(option.map, '{}'::jsonb) AS option
    FROM pg_class AS c
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    JOIN pg_stat_all_tables AS s ON s.relid = c.oid
    LEFT JOIN LATERAL (
        SELECT jsonb_object_agg(option_name, option_value) AS map FROM pg_options_to_table(c.reloptions)
    ) AS option ON true
    WHERE c.relkind IN ('r', 'm') AND space.nspname NOT IN ('pg_catalog', 'information_schema')
        AND space.nspname !~ '^pg_(toast|temp)'
), weighed AS (
    SELECT own.*, least(
            coalesce(nullif(coalesce((option ->> 'autovacuum_vacuum_max_threshold')::float8,
                current_setting('autovacuum_vacuum_max_threshold', true)::float8), -1), 'infinity'),
            coalesce((option ->> 'autovacuum_vacuum_threshold')::float8,
                current_setting('autovacuum_vacuum_threshold')::float8)
            + rows * coalesce((option ->> 'autovacuum_vacuum_scale_factor')::float8,
                current_setting('autovacuum_vacuum_scale_factor')::float8)) AS threshold,
        coalesce((option ->> 'autovacuum_analyze_threshold')::float8,
            current_setting('autovacuum_analyze_threshold')::float8)
            + rows * coalesce((option ->> 'autovacuum_analyze_scale_factor')::float8,
                current_setting('autovacuum_analyze_scale_factor')::float8) AS analyze_at
    FROM own
)
SELECT nspname AS schema_name, relname AS table_name, greatest(n_live_tup, 0) AS rows_estimate, n_dead_tup AS dead_rows,
    threshold::bigint AS vacuum_threshold, n_dead_tup / greatest(threshold, 1) AS share,
    n_mod_since_analyze AS changes_since_analyze, analyze_at::bigint AS analyze_threshold,
    coalesce((option ->> 'autovacuum_enabled')::boolean, true) AS is_autovacuum_on, last_vacuum AS last_vacuum_at,
    last_autovacuum AS last_autovacuum_at, last_analyze AS last_analyze_at, last_autoanalyze AS last_autoanalyze_at
FROM weighed
ORDER BY (option ->> 'autovacuum_enabled')::boolean IS FALSE DESC, share DESC, 1, 2
LIMIT %(limit)s
