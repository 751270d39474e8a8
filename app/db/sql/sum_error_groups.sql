-- The largest groups of a window, one row for each day of theirs, with the totals of all groups beside each.
WITH totals AS (
    SELECT fingerprint,
           sum(count) AS count,
           sum(sum(count)) OVER ()::bigint AS all_lines,
           count(*) OVER () AS all_groups
    FROM error_groups
    WHERE hour >= %(since)s AND hour < %(until)s
    GROUP BY fingerprint
    ORDER BY 2 DESC, fingerprint
    LIMIT %(top)s
)
SELECT totals.all_lines, totals.all_groups, fingerprint, event, exception, place, (hour AT TIME ZONE 'UTC')::date,
       sum(error_groups.count)::bigint, min(first_seen_at), max(last_seen_at)
FROM totals JOIN error_groups USING (fingerprint)
WHERE hour >= %(since)s AND hour < %(until)s
GROUP BY totals.all_lines, totals.all_groups, totals.count, fingerprint, event, exception, place, 7
ORDER BY totals.count DESC, fingerprint, 7
