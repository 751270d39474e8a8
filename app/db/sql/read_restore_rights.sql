-- What a restore needs of this session's role: it makes a database beside the live one, renames both, and ends the
-- sessions of the role that the server works as, whose name comes quoted. Who is in pg_signal_backend may end those of
-- everybody but superusers.
SELECT
    quote_ident(ours.rolname) AS role,
    quote_ident(datname) AS database,
    ours.rolsuper OR ours.rolcreatedb AS may_create,
    ours.rolsuper OR pg_has_role(ours.oid, datdba, 'USAGE') AS is_owner,
    ours.rolsuper OR theirs.oid IS NULL OR NOT theirs.rolsuper AND (
        pg_has_role(ours.oid, theirs.oid, 'USAGE') OR pg_has_role(ours.oid, 'pg_signal_backend', 'USAGE')
    ) AS may_end_sessions
FROM pg_database
CROSS JOIN pg_roles AS ours
LEFT JOIN pg_roles AS theirs ON theirs.oid = to_regrole(%(server_role)s)
WHERE datname = current_database() AND ours.rolname = current_user
