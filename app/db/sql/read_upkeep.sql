-- Which of our tables the session's role may neither vacuum nor rebuild: not its owner, and, where PostgreSQL has such a
-- privilege (its role pg_maintain tells, from 17 on), without MAINTAIN. And who owns them, to be told.
SELECT name, quote_ident(pg_get_userbyid(relowner)) AS owner, pg_has_role(relowner, 'USAGE') AS is_owner
FROM unnest(%(tables)s::text[]) AS ours (name)
JOIN pg_class AS c ON c.oid = to_regclass(name)
WHERE NOT pg_has_role(relowner, 'USAGE') AND NOT CASE
    WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_maintain') THEN has_table_privilege(c.oid, 'MAINTAIN')
    ELSE false
END
ORDER BY name
