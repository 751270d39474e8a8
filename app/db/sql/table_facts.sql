-- What vacuum and analyze judge tables by. A size is not asked for while somebody holds, or waits for, an exclusive lock on
-- anything of the table: the function would wait with it. Partitions are found in pg_inherits, because
-- pg_partition_tree() locks them. The functions behind pg_stat_all_tables are asked, because the view goes through all
-- tables for each that is looked at: with thousands of them that is most of a run's time.
WITH RECURSIVE chosen AS (
    SELECT unnest(%(oids)s::oid[]) AS oid
    UNION
    SELECT inhrelid FROM pg_inherits JOIN chosen ON inhparent = chosen.oid
    JOIN pg_class ON pg_class.oid = inhrelid AND relispartition
), picked AS (
    SELECT oid FROM chosen
    UNION ALL
    SELECT oid FROM pg_class WHERE %(oids)s::oid[] IS NULL
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
    coalesce(whole.live_rows, pg_stat_get_live_tuples(class.oid), 0),
    coalesce(pg_stat_get_dead_tuples(class.oid), 0),
    coalesce(pg_stat_get_live_tuples(toast.oid), 0), coalesce(pg_stat_get_dead_tuples(toast.oid), 0),
    coalesce(pg_stat_get_ins_since_vacuum(class.oid), 0),
    coalesce(whole.modified_rows, pg_stat_get_mod_since_analyze(class.oid), 0),
    greatest(pg_stat_get_last_analyze_time(class.oid), pg_stat_get_last_autoanalyze_time(class.oid)), whole.analyzed_at,
    coalesce(pg_stat_get_vacuum_count(class.oid), 0), coalesce(pg_stat_get_analyze_count(class.oid), 0),
    CASE WHEN class.relfrozenxid = '0' THEN 0
        ELSE greatest(age(class.relfrozenxid), coalesce(age(nullif(toast.relfrozenxid, '0')), 0)) END,
    least(current_setting('autovacuum_freeze_max_age')::bigint, own.freeze_max_age),
    CASE WHEN class.relminmxid = '0' THEN 0
        ELSE greatest(mxid_age(class.relminmxid), coalesce(mxid_age(nullif(toast.relminmxid, '0')), 0)) END,
    least(current_setting('autovacuum_multixact_freeze_max_age')::bigint, own.multixact_freeze_max_age)
FROM picked
JOIN pg_class AS class ON class.oid = picked.oid
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN pg_class AS toast ON toast.oid = class.reltoastrelid
LEFT JOIN LATERAL (
    SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_freeze_max_age')::bigint AS freeze_max_age,
        max(option_value) FILTER (WHERE option_name = 'autovacuum_multixact_freeze_max_age')::bigint
            AS multixact_freeze_max_age
    FROM pg_options_to_table(class.reloptions)
) AS own ON true
LEFT JOIN LATERAL (
    WITH RECURSIVE tree AS (
        SELECT class.oid AS member WHERE class.relkind = 'p'
        UNION
        SELECT inhrelid FROM tree JOIN pg_inherits ON inhparent = member
    )
    SELECT sum(pg_stat_get_live_tuples(member))::bigint AS live_rows,
        sum(pg_stat_get_mod_since_analyze(member))::bigint AS modified_rows,
        max(greatest(pg_stat_get_last_analyze_time(member), pg_stat_get_last_autoanalyze_time(member))) AS analyzed_at
    FROM tree WHERE member <> class.oid
) AS whole ON class.relkind = 'p'
WHERE class.relkind IN ('r', 'm', 'p') AND class.relpersistence <> 't'
    AND namespace.nspname <> 'information_schema' AND namespace.nspname !~ '^pg_'
ORDER BY namespace.nspname, class.relname
