-- Where an extension of our own database lives.
SELECT space.nspname FROM pg_extension AS e JOIN pg_namespace AS space ON space.oid = e.extnamespace
WHERE e.extname = %(name)s
