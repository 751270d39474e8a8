-- The largest btree indexes, and what the statistics say of their columns: those of the table, or for an expression
-- those of the index itself. Equal entries are merged, except where a value may be equal and look different.
WITH listed AS (
    SELECT c.oid, space.nspname, c.relname, c.reltuples, c.reloptions, i.indrelid, i.indisunique, i.indpred, i.indkey,
        i.indnkeyatts, i.indnatts, pg_relation_size(c.oid) AS bytes
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
    JOIN pg_am AS am ON am.oid = c.relam AND am.amname = 'btree'
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    WHERE i.indisvalid AND space.nspname NOT IN ('pg_catalog', 'information_schema')
        AND space.nspname !~ '^pg_(toast|temp)'
    ORDER BY bytes DESC NULLS LAST
    LIMIT %(limit)s
)
SELECT listed.oid::bigint AS oid, 'index' AS kind, listed.nspname AS schema_name, t.relname AS table_name,
    listed.relname AS name, current_setting('block_size')::int AS block_size,
    listed.bytes / current_setting('block_size')::int AS pages,
    (CASE WHEN listed.indpred IS NULL AND coalesce(s.n_live_tup, 0) > 0 THEN s.n_live_tup
        ELSE greatest(listed.reltuples, 0) END)::float8 AS rows,
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
    SELECT CASE WHEN bool_and(st.avg_width IS NOT NULL) THEN jsonb_agg(jsonb_build_array(
            CASE a.attalign WHEN 'c' THEN 1 WHEN 's' THEN 2 WHEN 'i' THEN 4 ELSE 8 END, a.attlen, st.avg_width,
            st.null_frac, st.n_distinct) ORDER BY a.attnum) END AS columns
    FROM pg_attribute AS a
    LEFT JOIN pg_attribute AS source ON source.attrelid = listed.indrelid AND source.attnum = listed.indkey[a.attnum - 1]
        AND source.attnum > 0
    LEFT JOIN pg_stats AS st ON st.schemaname = listed.nspname AND NOT st.inherited
        AND st.tablename = CASE WHEN source.attname IS NULL THEN listed.relname ELSE t.relname END
        AND st.attname = coalesce(source.attname, a.attname)
    WHERE a.attrelid = listed.oid AND a.attnum > 0
) AS columns ON true
WHERE listed.bytes > 0
