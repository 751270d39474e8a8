-- Addresses that asked for many license keys that do not exist; the index on (license_id, occurred_at) holds the
-- unknown ones together. An IPv6 address counts with its /64.
SELECT abbrev(guesser.address), guesser.number, guesser.last_seen_at
FROM (
    SELECT network(set_masklen(ip, CASE family(ip) WHEN 4 THEN 32 ELSE 64 END))::inet AS address, count(*) AS number,
        max(occurred_at) AS last_seen_at
    FROM validation_events
    WHERE license_id IS NULL AND code = 'NOT_FOUND' AND ip IS NOT NULL
        AND occurred_at >= %(since)s AND occurred_at < %(until)s
    GROUP BY 1
) AS guesser
WHERE guesser.number >= %(unknown_keys)s
ORDER BY guesser.number DESC, guesser.address
LIMIT %(top)s
