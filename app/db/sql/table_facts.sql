-- What vacuum and analyze judge tables by. A size is not asked for while somebody holds, or waits for, an exclusive lock on
-- anything of the table: the function would wait with it. Partitions are found in pg_inherits, because
-- pg_partition_tree() locks them.
WITH RECURSIVE chosen AS (
    SELECT unnest(%(oids)s::oid[]) AS oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN chosen ON inhparent = chosen.oid
    JOIN pg_class ON pg_class.oid = inhrelid AND relispartition
), tree AS (
    SELECT oid AS root, oid AS member FROM pg_class WHERE relkind = 'p'
    UNION
    SELECT root, inhrelid FROM tree JOIN pg_inherits ON inhparent = member
), barred AS MATERIALIZED (
    SELECT relation FROM pg_locks
    WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
SELECT class.oid::bigint, namespace.nspname, class.relname, format('%%I.%%I', namespace.nspname, class.relname),
    class.relkind = 'p',
    CASE WHEN class.relkind = 'p' THEN 0
        WHEN EXISTS (
            SELECT FROM barred WHERE relation IN (class.oid, toast.oid)
                OR relation IN (SELECT indexrelid FROM pg_index WHERE indrelid IN (class.oid, toast.oid))
        ) THEN NULL
        ELSE pg_total_relation_size(class.oid)
    END,
    greatest(class.relpages, 0), greatest(class.relallvisible, 0),
    coalesce(whole.live_rows, stat.n_live_tup, 0), coalesce(stat.n_dead_tup, 0),
    coalesce(toast_stat.n_live_tup, 0), coalesce(toast_stat.n_dead_tup, 0),
    coalesce(stat.n_ins_since_vacuum, 0), coalesce(whole.modified_rows, stat.n_mod_since_analyze, 0),
    greatest(stat.last_analyze, stat.last_autoanalyze), whole.analyzed_at,
    coalesce(stat.vacuum_count, 0), coalesce(stat.analyze_count, 0),
    CASE WHEN class.relfrozenxid = '0' THEN 0
        ELSE greatest(age(class.relfrozenxid), coalesce(age(nullif(toast.relfrozenxid, '0')), 0)) END,
    least(current_setting('autovacuum_freeze_max_age')::bigint, own.freeze_max_age),
    CASE WHEN class.relminmxid = '0' THEN 0
        ELSE greatest(mxid_age(class.relminmxid), coalesce(mxid_age(nullif(toast.relminmxid, '0')), 0)) END,
    least(current_setting('autovacuum_multixact_freeze_max_age')::bigint, own.multixact_freeze_max_age)
FROM pg_class AS class
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN pg_class AS toast ON toast.oid = class.reltoastrelid
LEFT JOIN pg_stat_all_tables AS stat ON stat.relid = class.oid
LEFT JOIN pg_stat_all_tables AS toast_stat ON toast_stat.relid = toast.oid
LEFT JOIN LATERAL (
    SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_freeze_max_age')::bigint AS freeze_max_age,
        max(option_value) FILTER (WHERE option_name = 'autovacuum_multixact_freeze_max_age')::bigint
            AS multixact_freeze_max_age
    FROM pg_options_to_table(class.reloptions)
) AS own ON true
LEFT JOIN LATERAL (
    SELECT sum(n_live_tup)::bigint AS live_rows, sum(n_mod_since_analyze)::bigint AS modified_rows,
        max(greatest(last_analyze, last_autoanalyze)) AS analyzed_at
    FROM tree JOIN pg_stat_all_tables AS part ON part.relid = member
    WHERE root = class.oid AND member <> root
) AS whole ON class.relkind = 'p'
WHERE class.relkind IN ('r', 'm', 'p') AND class.relpersistence <> 't'
    AND namespace.nspname <> 'information_schema' AND namespace.nspname !~ '^pg_'
    AND (%(oids)s::oid[] IS NULL OR class.oid IN (SELECT oid FROM chosen))
ORDER BY namespace.nspname, class.relname
