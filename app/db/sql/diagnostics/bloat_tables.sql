-- The largest tables, and what their statistics say of each column, for an estimate of the room that is really needed.
-- The statistics that the role may not read are missing, as are those of what was never analyzed: then columns is null.
WITH listed AS (
    SELECT c.oid, space.nspname, c.relname, c.reltuples, c.reloptions, pg_relation_size(c.oid) AS bytes
    FROM pg_class AS c
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND space.nspname NOT IN ('pg_catalog', 'information_schema')
        AND space.nspname !~ '^pg_(toast|temp)'
    ORDER BY bytes DESC NULLS LAST
    LIMIT %(limit)s
)
SELECT listed.oid::bigint AS oid, 'table' AS kind, listed.nspname AS schema_name, listed.relname AS table_name,
    listed.relname AS name, listed.bytes, current_setting('block_size')::int AS block_size,
    listed.bytes / current_setting('block_size')::int AS pages,
    (CASE WHEN coalesce(s.n_live_tup, 0) > 0 THEN s.n_live_tup ELSE greatest(listed.reltuples, 0) END)::float8 AS rows,
    coalesce((SELECT option_value::int FROM pg_options_to_table(listed.reloptions)
        WHERE option_name = 'fillfactor'), 100) AS fill_factor,
    false AS is_deduplicated, columns.columns
FROM listed
LEFT JOIN pg_stat_all_tables AS s ON s.relid = listed.oid
LEFT JOIN LATERAL (
    SELECT CASE WHEN bool_and(st.avg_width IS NOT NULL) THEN jsonb_agg(jsonb_build_array(
            CASE a.attalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END, a.attlen, st.avg_width,
            st.null_frac, st.n_distinct) ORDER BY a.attnum) END AS columns
    FROM pg_attribute AS a
    LEFT JOIN pg_stats AS st ON st.schemaname = listed.nspname AND st.tablename = listed.relname
        AND st.attname = a.attname AND NOT st.inherited
    WHERE a.attrelid = listed.oid AND a.attnum > 0 AND NOT a.attisdropped
) AS columns ON true
WHERE listed.bytes > 0
UNION ALL
SELECT toast.oid::bigint, 'toast', space.nspname, t.relname, t.relname, pg_relation_size(toast.oid),
    current_setting('block_size')::int,
    pg_relation_size(toast.oid) / current_setting('block_size')::int, greatest(toast.reltuples, 0)::float8, 100, false,
    NULL
FROM pg_class AS t
JOIN pg_class AS toast ON toast.oid = t.reltoastrelid
JOIN pg_namespace AS space ON space.oid = t.relnamespace
WHERE space.nspname NOT IN ('pg_catalog', 'information_schema') AND space.nspname !~ '^pg_(toast|temp)'
    AND toast.reltuples >= 0 AND pg_relation_size(toast.oid) > 0
