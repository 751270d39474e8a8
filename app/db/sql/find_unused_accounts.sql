-- Enabled accounts that are older than a moment and with which nobody has signed in since. Sessions tell of the last use,
-- the addresses of sign-ins tell it still when old sessions are gone.
SELECT users.email, users.role, organizations.name, users.created_at, seen.at, count(*) OVER ()
FROM users
LEFT JOIN organizations ON organizations.id = users.organization_id
CROSS JOIN LATERAL (
    SELECT greatest(
        (SELECT max(greatest(created_at, last_used_at)) FROM sessions WHERE user_id = users.id),
        (SELECT max(last_seen_at) FROM user_addresses WHERE user_id = users.id)
    ) AS at
) AS seen
WHERE users.disabled_at IS NULL
  AND users.created_at < %(before)s
  AND (seen.at IS NULL OR seen.at < %(before)s)
ORDER BY seen.at NULLS FIRST, users.created_at, users.id
LIMIT %(shown)s
