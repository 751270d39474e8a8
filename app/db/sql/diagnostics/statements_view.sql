-- Where pg_stat_statements lives in our own database, and the columns that its view has there: an old view stays when
-- the server is upgraded.
SELECT space.nspname, array_agg(a.attname::text),
    to_regclass(format('%%I.pg_stat_statements_info', space.nspname)) IS NOT NULL
FROM pg_extension AS e
JOIN pg_namespace AS space ON space.oid = e.extnamespace
JOIN pg_class AS c ON c.relnamespace = space.oid AND c.relname = %(name)s
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE e.extname = %(name)s
GROUP BY space.nspname
