-- Out of the default partition into a table that becomes a day's partition: one statement, so no row is in both or none.
WITH moved AS (
    DELETE FROM ONLY validation_events_default
    WHERE occurred_at >= %(since)s AND occurred_at < %(until)s
    RETURNING id, occurred_at, license_id, code, product_id, fingerprint_hash, ip, request_id
), arrived AS (
    INSERT INTO {day} (id, occurred_at, license_id, code, product_id, fingerprint_hash, ip, request_id)
    SELECT id, occurred_at, license_id, code, product_id, fingerprint_hash, ip, request_id FROM moved
    RETURNING 1
)
SELECT count(*) FROM arrived
