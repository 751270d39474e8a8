-- What a table takes with its indexes, all partitions together, without reading it; and the oldest day it has a partition of.
-- A table without partitions has no tree, not even one of itself.
SELECT coalesce(sum(pg_total_relation_size(part.oid)), 0)::bigint,
    coalesce(sum(greatest(part.reltuples, 0)), 0)::bigint,
    min(to_date(substring(part.relname FROM '_([0-9]{8})$'), 'YYYYMMDD')::timestamptz)
FROM (
    SELECT relid FROM pg_partition_tree(CAST(:table AS regclass))
    UNION
    SELECT CAST(:table AS regclass)
) AS tree
JOIN pg_class AS part ON part.oid = tree.relid
