-- What was counted since the last time, appended in one statement; several processes each append their own.
INSERT INTO security_event_counts (id, minute, event, address, account, license_id, count)
SELECT *
FROM unnest(
    %(ids)s::uuid[], %(minutes)s::timestamptz[], %(events)s::text[], %(addresses)s::text[], %(accounts)s::text[],
    %(license_ids)s::uuid[], %(counts)s::integer[]
)
