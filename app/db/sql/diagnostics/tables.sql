-- Every table by its oid, so that no name can break it: heap, TOAST and indexes apart. A partition names its topmost
-- parent. A table that is dropped meanwhile has no size and is left out.
WITH listed AS (
    SELECT c.oid, space.nspname, c.relname, c.reltuples, c.reltoastrelid,
        nullif(pg_partition_root(c.oid)::oid, c.oid) AS root,
        pg_table_size(c.oid) AS with_toast, pg_indexes_size(c.oid) AS indexes,
        CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE pg_total_relation_size(c.reltoastrelid) END AS toast
    FROM pg_class AS c
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'p') AND space.nspname NOT IN ('pg_catalog', 'information_schema')
        AND space.nspname !~ '^pg_(toast|temp)'
)
SELECT listed.nspname AS schema_name, listed.relname AS table_name,
    parent_space.nspname || '.' || parent.relname AS parent, 0 AS partitions,
    CASE WHEN coalesce(s.n_live_tup, 0) > 0 THEN s.n_live_tup ELSE greatest(listed.reltuples, 0)::bigint END
        AS rows_estimate,
    coalesce(s.n_dead_tup, 0) AS dead_rows, with_toast - toast AS heap_bytes, toast AS toast_bytes,
    indexes AS index_bytes, with_toast + indexes AS total_bytes,
    greatest(s.last_vacuum, s.last_autovacuum) AS last_vacuum_at,
    greatest(s.last_analyze, s.last_autoanalyze) AS last_analyze_at
FROM listed
LEFT JOIN pg_stat_all_tables AS s ON s.relid = listed.oid
LEFT JOIN pg_class AS parent ON parent.oid = listed.root
LEFT JOIN pg_namespace AS parent_space ON parent_space.oid = parent.relnamespace
WHERE with_toast IS NOT NULL AND toast IS NOT NULL AND indexes IS NOT NULL
ORDER BY total_bytes DESC, 1, 2
LIMIT %(limit)s
