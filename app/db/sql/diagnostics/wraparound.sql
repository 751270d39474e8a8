-- How old the oldest transaction ids are: of every database, for the first that is too old stops the whole server, and
-- of the worst tables of ours, with their TOAST.
WITH limits AS (
    SELECT current_setting('autovacuum_freeze_max_age')::bigint AS xid,
        current_setting('autovacuum_multixact_freeze_max_age')::bigint AS multixact
), tables AS (
    SELECT space.nspname, c.relname,
        greatest(age(c.relfrozenxid), CASE WHEN toast.oid IS NULL THEN 0 ELSE age(toast.relfrozenxid) END)::bigint AS xid,
        greatest(mxid_age(c.relminmxid), CASE WHEN toast.oid IS NULL THEN 0 ELSE mxid_age(toast.relminmxid) END)::bigint
            AS multixact
    FROM pg_class AS c
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
    WHERE c.relkind IN ('r', 'm') AND space.nspname !~ '^pg_(toast|temp)'
    ORDER BY greatest(age(c.relfrozenxid), mxid_age(c.relminmxid)) DESC, c.oid
    LIMIT %(limit)s
), found AS (
    SELECT 'database' AS kind, NULL AS schema_name, datname AS name, age(datfrozenxid)::bigint AS xid,
        mxid_age(datminmxid)::bigint AS multixact, datname = current_database() AS is_ours
    FROM pg_database
    UNION ALL
    SELECT 'table', nspname, relname, xid, multixact, true FROM tables
)
SELECT kind, schema_name, name, found.xid AS xid_age, limits.xid AS xid_freeze_max_age,
    found.multixact AS multixact_age, limits.multixact AS multixact_freeze_max_age,
    greatest(found.xid, found.multixact) / 2147483648.0::float8 AS share, is_ours
FROM found, limits
ORDER BY kind, share DESC, schema_name, name
