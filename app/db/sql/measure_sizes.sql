-- The size of each table with its indexes and TOAST, partitions counted as their parent, and of the whole database. By
-- oid, so that no name needs quoting. Only the thousand largest: the database may hold other programs' tables, too.
INSERT INTO size_samples (day, subject, bytes)
SELECT %(day)s::date, subject, bytes
FROM (
    SELECT space.nspname || '.' || root.relname AS subject, sum(pg_total_relation_size(part.oid))::bigint AS bytes
    FROM pg_class AS part
    JOIN pg_class AS root ON root.oid = coalesce(pg_partition_root(part.oid), part.oid)
    JOIN pg_namespace AS space ON space.oid = root.relnamespace
    WHERE part.relkind IN ('r', 'm')
      AND part.relpersistence <> 't'
      AND space.nspname NOT IN ('pg_catalog', 'information_schema')
    GROUP BY 1
    ORDER BY 2 DESC NULLS LAST, 1
    LIMIT 1000
) AS tables
WHERE bytes IS NOT NULL
UNION ALL
SELECT %(day)s::date, %(whole)s::text, pg_database_size(current_database())
ON CONFLICT (day, subject) DO UPDATE SET bytes = excluded.bytes
