-- What was counted since the last time is added to what all servers have counted of the hour. The order keeps two that
-- add at once from waiting for each other crosswise.
INSERT INTO error_groups (hour, fingerprint, event, exception, place, count, first_seen_at, last_seen_at)
SELECT *
FROM unnest(
    %(hours)s::timestamptz[], %(fingerprints)s::text[], %(events)s::text[], %(exceptions)s::text[], %(places)s::text[],
    %(counts)s::bigint[], %(first)s::timestamptz[], %(last)s::timestamptz[]
)
ORDER BY 1, 2
ON CONFLICT (hour, fingerprint) DO UPDATE SET
    count = error_groups.count + excluded.count,
    first_seen_at = least(error_groups.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(error_groups.last_seen_at, excluded.last_seen_at)
