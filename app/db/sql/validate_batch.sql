-- The facts about every asked license, in the order of the questions.
-- One statement for everybody in the batch is one snapshot. Each table is entered by a unique index (LATERAL with
-- LIMIT 1 leaves the planner no other way); seats are counted only for a machine that is new.
SELECT
    license.id,
    organization.name,
    organization.suspended_at IS NOT NULL AS is_organization_suspended,
    license.tier,
    license.status,
    license.max_users,
    license.max_products,
    license.max_machines,
    coalesce(license.allowed_products, catalog.products) AS products,
    license.features,
    license.starts_at,
    license.expires_at,
    license.is_trial,
    license.trial_ends_at,
    license.machine_binding,
    machine.id IS NOT NULL AS is_machine_known,
    CASE
        WHEN machine.id IS NULL AND question.fingerprint_hash IS NOT NULL AND license.max_machines IS NOT NULL
        THEN (SELECT count(*) FROM machines AS seat WHERE seat.license_id = license.id)
        ELSE 0
    END AS seats_taken
FROM unnest(%(license_key_hashes)s::bytea[], %(fingerprint_hashes)s::bytea[])
    WITH ORDINALITY AS question (license_key_hash, fingerprint_hash, position)
CROSS JOIN (SELECT coalesce(array_agg(product.id ORDER BY product.id), '{}') AS products FROM products AS product)
    AS catalog
LEFT JOIN LATERAL (
    SELECT * FROM licenses WHERE licenses.license_key_hash = question.license_key_hash LIMIT 1
) AS license ON true
LEFT JOIN LATERAL (
    SELECT * FROM organizations WHERE organizations.id = license.organization_id LIMIT 1
) AS organization ON true
LEFT JOIN LATERAL (
    SELECT machines.id FROM machines
    WHERE machines.license_id = license.id AND machines.fingerprint_hash = question.fingerprint_hash
    LIMIT 1
) AS machine ON true
ORDER BY question.position
