-- Security events of a window: how often each was seen, and of each kind the leading addresses, accounts and licenses.
-- One pass over the window's rows (by the index on minute); the grouping sets are ranked apart.
WITH seen AS (
    SELECT counted.event, kinds.kind, counted.address, counted.account, counted.license_id,
        sum(counted.count) AS total, max(counted.minute) AS last_seen_at,
        GROUPING(counted.event) = 0 AS is_event, GROUPING(kinds.kind) = 0 AS is_kind,
        CASE
            WHEN GROUPING(counted.address) = 0 THEN 'address'
            WHEN GROUPING(counted.account) = 0 THEN 'account'
            WHEN GROUPING(counted.license_id) = 0 THEN 'license'
        END AS subject
    FROM security_event_counts AS counted
    LEFT JOIN unnest(%(events)s::text[], %(kinds)s::text[]) AS kinds (event, kind) ON kinds.event = counted.event
    WHERE counted.minute >= %(since)s AND counted.minute < %(until)s
    GROUP BY GROUPING SETS (
        (counted.event), (kinds.kind), (kinds.kind, counted.address), (kinds.kind, counted.account),
        (kinds.kind, counted.license_id)
    )
), ranked AS (
    SELECT seen.*, row_number() OVER (PARTITION BY kind, event, subject ORDER BY total DESC, last_seen_at DESC) AS place
    FROM seen
    WHERE (is_event OR kind IS NOT NULL)
        AND (subject IS NULL OR coalesce(address, account, license_id::text) IS NOT NULL)
)
SELECT event, kind, subject, coalesce(address, account, license_id::text) AS name, total::bigint, last_seen_at
FROM ranked
WHERE place <= %(top)s
ORDER BY event, kind, subject, place
