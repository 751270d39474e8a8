-- Btree indexes (the largest, or those that are named), and what the statistics say of their columns: those of the table, or
-- for an expression those of the index itself. Pages and rows are as the last VACUUM or ANALYZE counted both; without one
-- they are of the moment of the creation, and say nothing. Equal entries are merged, except where a value may be equal
-- and look different. The size of a named one is not asked for: that would wait for whoever locks it out.
WITH listed AS (
    SELECT c.oid, space.nspname, c.relname, c.relpages, c.reltuples, c.reloptions, i.indrelid, i.indisunique, i.indkey,
        i.indnkeyatts, i.indnatts,
        CASE WHEN %(oids)s::oid[] IS NULL THEN pg_relation_size(c.oid)
            ELSE c.relpages * current_setting('block_size')::bigint END AS bytes
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
    JOIN pg_am AS am ON am.oid = c.relam AND am.amname = 'btree'
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    WHERE i.indisvalid AND CASE WHEN %(oids)s::oid[] IS NULL
        THEN space.nspname NOT IN ('pg_catalog', 'information_schema') AND space.nspname !~ '^pg_(toast|temp)'
        ELSE c.oid = ANY (%(oids)s::oid[]) END
    ORDER BY bytes DESC NULLS LAST
    LIMIT %(limit)s::bigint
)
SELECT listed.oid::bigint AS oid, 'index' AS kind, listed.nspname AS schema_name, t.relname AS table_name,
    listed.relname AS name, listed.bytes, current_setting('block_size')::int AS block_size,
    listed.relpages AS pages, greatest(listed.reltuples, 0)::float8 AS rows,
    coalesce((SELECT option_value::int FROM pg_options_to_table(listed.reloptions)
        WHERE option_name = 'fillfactor'), 90) AS fill_factor,
    NOT listed.indisunique AND listed.indnkeyatts = listed.indnatts AND NOT EXISTS (
        SELECT FROM pg_attribute WHERE attrelid = listed.oid
            AND atttypid IN ('float4'::regtype, 'float8'::regtype, 'numeric'::regtype, 'interval'::regtype)
    ) AS is_deduplicated, columns.columns
FROM listed
JOIN pg_class AS t ON t.oid = listed.indrelid
LEFT JOIN pg_stat_all_tables AS s ON s.relid = listed.indrelid
LEFT JOIN LATERAL (
    SELECT CASE WHEN bool_and(coalesce(st.avg_width, fixed.width) IS NOT NULL) THEN jsonb_agg(jsonb_build_array(
            CASE a.attalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END, a.attlen,
            coalesce(st.avg_width, fixed.width), coalesce(st.null_frac, 0), coalesce(st.n_distinct, -1)
        ) ORDER BY a.attnum) END AS columns
    FROM pg_attribute AS a
    CROSS JOIN LATERAL (SELECT CASE WHEN a.attlen > 0 THEN a.attlen END AS width) AS fixed
    LEFT JOIN pg_attribute AS source ON source.attrelid = listed.indrelid AND source.attnum = listed.indkey[a.attnum - 1]
        AND source.attnum > 0
    LEFT JOIN pg_stats AS st ON st.schemaname = listed.nspname AND NOT st.inherited
        AND st.tablename = CASE WHEN source.attname IS NULL THEN listed.relname ELSE t.relname END
        AND st.attname = coalesce(source.attname, a.attname)
    WHERE a.attrelid = listed.oid AND a.attnum > 0 AND listed.reltuples >= 0
        AND coalesce(s.last_vacuum, s.last_autovacuum, s.last_analyze, s.last_autoanalyze) IS NOT NULL
) AS columns ON true
WHERE listed.bytes > 0
