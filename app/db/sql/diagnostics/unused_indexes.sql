-- Indexes that were never read and that nothing but reading needs: no constraint, uniqueness or replica identity. The
-- indexes of partitions count for the one of the topmost parent, which alone can be dropped.
WITH own AS (
    SELECT coalesce(pg_partition_root(i.indexrelid)::oid, i.indexrelid) AS root, i.indexrelid,
        coalesce(s.idx_scan, 0) AS scans
    FROM pg_index AS i
    LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = i.indexrelid
)
SELECT space.nspname AS schema_name, t.relname AS table_name, c.relname AS index_name,
    sum(coalesce(pg_relation_size(own.indexrelid), 0))::bigint AS bytes,
    format('DROP INDEX %%s%%I.%%I;', CASE c.relkind WHEN 'i' THEN 'CONCURRENTLY ' ELSE '' END, space.nspname, c.relname)
        AS action
FROM own
JOIN pg_index AS i ON i.indexrelid = own.root
JOIN pg_class AS c ON c.oid = own.root
JOIN pg_class AS t ON t.oid = i.indrelid
JOIN pg_namespace AS space ON space.oid = c.relnamespace
WHERE space.nspname NOT IN ('pg_catalog', 'information_schema') AND space.nspname !~ '^pg_(toast|temp)'
    AND i.indisvalid AND NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident)
    AND NOT EXISTS (SELECT FROM pg_constraint AS con WHERE con.conindid = i.indexrelid)
GROUP BY 1, 2, 3, c.relkind
HAVING sum(own.scans) = 0
ORDER BY bytes DESC, 1, 3
LIMIT %(limit)s
