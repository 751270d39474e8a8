-- Where the session's role may less than the server needs, or more than the audit trail allows. The revision of the
-- schema is only read; where the chain of the trail begins is the owner's to say.
SELECT name, wish, may
FROM unnest(%(tables)s::text[]) AS ours (name)
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wish
CROSS JOIN LATERAL (SELECT has_table_privilege(to_regclass(name), wish)) AS found (may)
WHERE to_regclass(name) IS NOT NULL AND (name <> 'alembic_version' OR wish = 'SELECT')
    AND NOT (name = 'audit_bases' AND wish = 'INSERT')
    AND may = (name = ANY (%(only_growing)s::text[]) AND wish IN ('UPDATE', 'DELETE'))
ORDER BY name, wish
