-- Who waits for a lock, and whom they wait for, in any database: what two databases share can be locked too. A prepared
-- transaction that blocks has the process id 0.
WITH waiting AS (
    SELECT DISTINCT ON (pid) pid, pg_blocking_pids(pid) AS blocked_by, mode, relation, locktype, waitstart
    FROM pg_locks WHERE NOT granted
    ORDER BY pid, waitstart
), involved AS (
    SELECT pid FROM waiting UNION SELECT unnest(blocked_by) FROM waiting
)
SELECT involved.pid, coalesce(waiting.blocked_by, '{}'::int[]) AS blocked_by, 0 AS depth, a.usename AS user_name,
    a.application_name AS application, CASE involved.pid WHEN 0 THEN 'prepared' ELSE a.state END AS state,
    waiting.mode || ' on ' || coalesce(space.nspname || '.' || c.relname, waiting.locktype) AS waits_for,
    waiting.waitstart AS waiting_since,
    extract(epoch FROM clock_timestamp() - waiting.waitstart)::float8 AS waiting_seconds,
    a.xact_start AS transaction_since, a.query AS statement, NULL AS action
FROM involved
LEFT JOIN waiting ON waiting.pid = involved.pid
LEFT JOIN pg_stat_activity AS a ON a.pid = involved.pid
LEFT JOIN pg_class AS c ON c.oid = waiting.relation
LEFT JOIN pg_namespace AS space ON space.oid = c.relnamespace
ORDER BY waiting_seconds DESC NULLS LAST, involved.pid
LIMIT %(limit)s
