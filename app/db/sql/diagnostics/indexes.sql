-- How indexes are used, the largest first. The last use is looked for in the row: PostgreSQL has it from 16 on.
SELECT space.nspname AS schema_name, t.relname AS table_name, c.relname AS index_name, am.amname AS method,
    i.indisunique AS is_unique, i.indisvalid AS is_valid, coalesce(s.idx_scan, 0) AS scans,
    coalesce(s.idx_tup_read, 0) AS rows_read, coalesce(s.idx_tup_fetch, 0) AS rows_fetched,
    (to_jsonb(s) ->> 'last_idx_scan')::timestamptz AS last_scan_at, coalesce(pg_relation_size(c.oid), 0) AS bytes
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i'
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_am AS am ON am.oid = c.relam
JOIN pg_namespace AS space ON space.oid = c.relnamespace
LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = c.oid
WHERE space.nspname NOT IN ('pg_catalog', 'information_schema') AND space.nspname !~ '^pg_(toast|temp)'
ORDER BY bytes DESC, 1, 2, 3
LIMIT %(limit)s
