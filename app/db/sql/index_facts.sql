-- What reindex judges indexes by, those of TOAST tables among them. A leftover of a broken REINDEX CONCURRENTLY is told by
-- its suffix and by being invalid; whoever builds an index holds this lock on it until the end. A size is not asked for
-- while somebody holds, or waits for, an exclusive lock on the index: the function would wait with it.
WITH RECURSIVE chosen_tables AS (
    SELECT unnest(%(table_oids)s::oid[]) AS oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN chosen_tables ON inhparent = chosen_tables.oid
), chosen_indexes AS (
    SELECT unnest(%(index_oids)s::oid[]) AS oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN chosen_indexes ON inhparent = chosen_indexes.oid
), picked AS (
    SELECT oid FROM chosen_indexes
    UNION
    SELECT indexrelid FROM chosen_tables JOIN pg_class ON pg_class.oid = chosen_tables.oid
    JOIN pg_index ON indrelid IN (pg_class.oid, reltoastrelid)
    UNION
    SELECT indexrelid FROM pg_index WHERE %(table_oids)s::oid[] IS NULL AND %(index_oids)s::oid[] IS NULL
), homes AS (
    SELECT oid AS heap_oid, oid AS home_oid FROM pg_class WHERE relkind <> 't'
    UNION ALL
    SELECT reltoastrelid, oid FROM pg_class WHERE reltoastrelid <> 0
), locked AS MATERIALIZED (
    SELECT relation, mode, pid, granted FROM pg_locks
    WHERE locktype = 'relation' AND pid IS DISTINCT FROM pg_backend_pid()
        AND mode IN ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT class.oid::bigint, namespace.nspname, class.relname, format('%%I.%%I', namespace.nspname, class.relname),
    home.oid::bigint, home_namespace.nspname, home.relname, format('%%I.%%I', home_namespace.nspname, home.relname),
    method.amname, index.indisvalid, index.indisexclusion, home.oid <> index.indrelid,
    NOT index.indisvalid AND class.relname ~ '_cc(new|old)[0-9]*$',
    (SELECT min(pid) FROM locked
        WHERE relation = class.oid AND granted AND mode = 'ShareUpdateExclusiveLock' AND NOT index.indisvalid),
    CASE WHEN EXISTS (SELECT FROM locked WHERE relation = class.oid AND mode = 'AccessExclusiveLock') THEN NULL
        ELSE pg_relation_size(class.oid) END,
    greatest(class.relpages, 0)
FROM picked
JOIN pg_index AS index ON index.indexrelid = picked.oid
JOIN pg_class AS class ON class.oid = index.indexrelid AND class.relkind = 'i' AND class.relpersistence <> 't'
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_am AS method ON method.oid = class.relam
JOIN homes ON homes.heap_oid = index.indrelid
JOIN pg_class AS home ON home.oid = homes.home_oid
JOIN pg_namespace AS home_namespace ON home_namespace.oid = home.relnamespace
WHERE home_namespace.nspname <> 'information_schema' AND home_namespace.nspname !~ '^pg_'
ORDER BY home_namespace.nspname, home.relname, namespace.nspname, class.relname
