-- The partitions of validation_events with their bounds and sizes; the default one is among them. By oid, never by name.
SELECT child.relname, pg_get_expr(child.relpartbound, child.oid), pg_total_relation_size(child.oid),
    greatest(child.reltuples, 0)::bigint
FROM pg_inherits AS inherited
JOIN pg_class AS child ON child.oid = inherited.inhrelid
WHERE inherited.inhparent = 'validation_events'::regclass
ORDER BY child.relname
