-- One row for every answer that is about to be given; append only, so that batches never wait for each other.
INSERT INTO validation_events (id, occurred_at, license_id, code, product_id, fingerprint_hash, ip, request_id)
SELECT answer.id, %(occurred_at)s, answer.license_id, answer.code, answer.product_id, answer.fingerprint_hash,
    answer.ip::inet, answer.request_id
FROM unnest(
    %(ids)s::uuid[], %(license_ids)s::uuid[], %(codes)s::text[], %(product_ids)s::text[], %(fingerprint_hashes)s::bytea[],
    %(ips)s::text[], %(request_ids)s::text[]
) AS answer (id, license_id, code, product_id, fingerprint_hash, ip, request_id)
