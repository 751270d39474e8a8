-- Indexes that are not valid, TOAST's too, unless they are just being built; and constraints that were never checked,
-- unless they are not meant to be enforced. A failed rebuild leaves an index with `_ccnew` or `_ccold` behind.
WITH invalid_indexes AS (
    SELECT c.oid, space.nspname, c.relname, coalesce(owner.oid, t.oid) AS table_oid, c.relkind,
        space.nspname = 'pg_toast' AS is_toast, c.relname ~ '_cc(new|old)[0-9]*$' AS is_leftover
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_class AS t ON t.oid = i.indrelid
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    LEFT JOIN pg_class AS owner ON owner.reltoastrelid = t.oid
    WHERE NOT (i.indisvalid AND i.indisready) AND space.nspname !~ '^pg_temp'
        AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS p
            WHERE p.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND (p.index_relid = i.indexrelid OR p.relid = i.indrelid))
)
SELECT CASE WHEN is_leftover THEN 'leftover' ELSE 'index' END AS kind, nspname AS schema_name, relname AS name,
    table_oid::regclass::text AS table_name, pg_get_indexdef(oid) AS definition, pg_relation_size(oid) AS bytes,
    CASE WHEN is_leftover THEN format('DROP INDEX %%s%%I.%%I;', CASE WHEN is_toast THEN '' ELSE 'CONCURRENTLY ' END,
            nspname, relname)
        WHEN relkind = 'I' THEN format('REINDEX INDEX %%I.%%I;', nspname, relname)
        ELSE format('REINDEX INDEX CONCURRENTLY %%I.%%I;', nspname, relname) END AS action
FROM invalid_indexes
UNION ALL
SELECT 'constraint', space.nspname, con.conname, con.conrelid::regclass::text, pg_get_constraintdef(con.oid), NULL,
    format('ALTER TABLE %%I.%%I VALIDATE CONSTRAINT %%I;', space.nspname, t.relname, con.conname)
FROM pg_constraint AS con
JOIN pg_class AS t ON t.oid = con.conrelid
JOIN pg_namespace AS space ON space.oid = t.relnamespace
WHERE NOT con.convalidated AND coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true)
ORDER BY 1, 2, 3
LIMIT %(limit)s
