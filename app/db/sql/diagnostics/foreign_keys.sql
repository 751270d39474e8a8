-- Foreign keys whose columns, in any order, are not the first ones of a complete valid index: each deletion of a row
-- that they refer to reads the whole table.
SELECT space.nspname AS schema_name, t.relname AS table_name, con.conname AS constraint_name, names.columns,
    coalesce(pg_table_size(t.oid), 0) AS table_bytes, con.confrelid::regclass::text AS referenced_table,
    coalesce(pg_table_size(con.confrelid), 0) AS referenced_bytes,
    format('CREATE INDEX %%sON %%I.%%I (%%s);', CASE t.relkind WHEN 'r' THEN 'CONCURRENTLY ' ELSE '' END,
        space.nspname, t.relname, names.quoted) AS action
FROM pg_constraint AS con
JOIN pg_class AS t ON t.oid = con.conrelid
JOIN pg_namespace AS space ON space.oid = t.relnamespace
CROSS JOIN LATERAL (
    SELECT array_agg(a.attname::text ORDER BY key.place) AS columns,
        string_agg(quote_ident(a.attname), ', ' ORDER BY key.place) AS quoted
    FROM unnest(con.conkey) WITH ORDINALITY AS key (attnum, place)
    JOIN pg_attribute AS a ON a.attrelid = con.conrelid AND a.attnum = key.attnum
) AS names
WHERE con.contype = 'f' AND con.conparentid = 0 AND NOT EXISTS (
    SELECT FROM pg_index AS i
    WHERE i.indrelid = con.conrelid AND i.indisvalid AND i.indpred IS NULL
        AND (i.indkey::int2[])[0:cardinality(con.conkey) - 1] @> con.conkey
        AND cardinality(con.conkey) <= i.indnkeyatts
)
ORDER BY table_bytes DESC, 1, 2, 3
LIMIT %(limit)s
