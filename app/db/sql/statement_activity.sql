-- How far the statement of a session is, whole rows of the progress views because their columns differ between versions,
-- and who stands in its way. A session that may not see another one's progress gets rows without numbers.
SELECT 'vacuum', to_jsonb(progress) FROM pg_stat_progress_vacuum AS progress WHERE pid = %(pid)s
UNION ALL
SELECT 'analyze', to_jsonb(progress) FROM pg_stat_progress_analyze AS progress WHERE pid = %(pid)s
UNION ALL
SELECT 'create_index', to_jsonb(progress) FROM pg_stat_progress_create_index AS progress WHERE pid = %(pid)s
UNION ALL
SELECT 'blocker', jsonb_build_object('pid', blocker, 'role', usename, 'state', state, 'since', xact_start)
FROM unnest(pg_blocking_pids(%(pid)s)) AS blocker
LEFT JOIN pg_stat_activity AS activity ON activity.pid = blocker
