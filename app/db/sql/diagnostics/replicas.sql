-- Standbys that are connected, and slots: how much log each is behind. On a standby the log is the received one.
WITH here AS (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS lsn
)
SELECT 'standby' AS kind, application_name AS name, host(client_addr) AS client_address,
    state || coalesce(', ' || sync_state, '') AS state, state IS NOT NULL AS is_active,
    (here.lsn - replay_lsn)::bigint AS behind_bytes, extract(epoch FROM replay_lag)::float8 AS lag_seconds
FROM pg_stat_replication, here
UNION ALL
SELECT 'slot', slot_name, NULL, slot_type || coalesce(', ' || wal_status, ''), active,
    (here.lsn - restart_lsn)::bigint, NULL
FROM pg_replication_slots, here
ORDER BY 1, 2
LIMIT %(limit)s
