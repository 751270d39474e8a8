-- Which names are those of tables or indexes that maintenance may touch: the place of the name, and what it names. A name
-- without a schema is looked for on the search path.
SELECT wanted.place - 1, class.oid::bigint
FROM unnest(%(schemas)s::text[], %(names)s::text[]) WITH ORDINALITY AS wanted (schema, name, place)
JOIN pg_class AS class ON class.relname = wanted.name
JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.relkind::text = ANY(%(kinds)s::text[]) AND class.relpersistence <> 't'
    AND CASE WHEN wanted.schema IS NULL THEN pg_table_is_visible(class.oid) ELSE namespace.nspname = wanted.schema END
    AND namespace.nspname <> 'information_schema'
    AND (namespace.nspname !~ '^pg_' OR namespace.nspname = 'pg_toast' AND class.relkind = 'i')
