-- What the bloat of valid B-trees is estimated by: pages and rows as the last VACUUM or ANALYZE of the table counted both,
-- and the width of a key. A column of fixed width needs no statistics; without those of another one the width is NULL.
-- An index whose table was never vacuumed nor analyzed is left out: its counts are of the moment of its creation.
SELECT class.oid::bigint, class.relpages, class.reltuples::float8,
    coalesce((SELECT option_value::int FROM pg_options_to_table(class.reloptions) WHERE option_name = 'fillfactor'), 90),
    (
        SELECT CASE WHEN bool_and(coalesce(stats.avg_width, width) IS NOT NULL)
            THEN sum((1 - coalesce(stats.null_frac, 0)) * coalesce(stats.avg_width, width))::float8 END
        FROM pg_attribute AS attribute
        CROSS JOIN LATERAL (SELECT CASE WHEN attlen > 0 THEN attlen END AS width) AS fixed
        LEFT JOIN pg_attribute AS of_table ON of_table.attrelid = index.indrelid
            AND of_table.attnum = index.indkey[attribute.attnum - 1] AND of_table.attnum > 0
        LEFT JOIN pg_stats AS stats ON NOT stats.inherited AND (
            of_table.attnum IS NOT NULL AND stats.schemaname = home_namespace.nspname
                AND stats.tablename = home.relname AND stats.attname = of_table.attname
            OR of_table.attnum IS NULL AND stats.schemaname = namespace.nspname
                AND stats.tablename = class.relname AND stats.attname = attribute.attname
        )
        WHERE attribute.attrelid = class.oid
    )
FROM pg_index AS index
JOIN pg_class AS class ON class.oid = index.indexrelid AND class.relkind = 'i' AND class.relpersistence <> 't'
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
JOIN pg_am AS method ON method.oid = class.relam AND method.amname = 'btree'
JOIN pg_class AS home ON home.oid = index.indrelid
JOIN pg_namespace AS home_namespace ON home_namespace.oid = home.relnamespace
JOIN pg_stat_all_tables AS stat ON stat.relid = index.indrelid
WHERE index.indisvalid AND class.reltuples >= 0
    AND class.oid = ANY(%(oids)s::oid[])
    AND coalesce(stat.last_vacuum, stat.last_autovacuum, stat.last_analyze, stat.last_autoanalyze) IS NOT NULL
