-- The next links, and their events wait no longer: one statement, so never one without the other.
WITH appended AS (
    INSERT INTO audit_links (position, event_id, hash, sealed_at)
    SELECT position, event_id, hash, %(sealed_at)s::timestamptz
    FROM unnest(%(positions)s::bigint[], %(event_ids)s::uuid[], %(hashes)s::bytea[]) AS new (position, event_id, hash)
)
DELETE FROM audit_unsealed WHERE event_id = ANY (%(taken_ids)s::uuid[])
