-- Licenses whose validations in a window are odd: from many machines, from many networks, or many more than in the
-- window before. Each license is entered by the index on (license_id, occurred_at), so that the age of the table costs
-- nothing; networks are /24 of IPv4 and /48 of IPv6.
WITH counted AS (
    SELECT license.id, organization.name AS organization, license.max_machines, present.*, before.validations AS earlier
    FROM licenses AS license
    JOIN organizations AS organization ON organization.id = license.organization_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS validations, max(occurred_at) AS last_seen_at,
            count(DISTINCT fingerprint_hash) AS machines,
            count(DISTINCT network(set_masklen(ip, CASE family(ip) WHEN 4 THEN 24 ELSE 48 END))) AS networks
        FROM validation_events
        WHERE license_id = license.id AND occurred_at >= %(since)s AND occurred_at < %(until)s
    ) AS present
    CROSS JOIN LATERAL (
        SELECT count(*) AS validations
        FROM validation_events
        WHERE license_id = license.id AND present.validations >= %(validations)s
            AND occurred_at >= %(before)s AND occurred_at < %(since)s
    ) AS before
    WHERE present.validations > 0
), odd AS (
    SELECT 'many_machines' AS pattern, id, organization, machines AS number, NULL::bigint AS earlier, last_seen_at
    FROM counted WHERE machines >= %(machines)s AND machines > coalesce(max_machines, 0)
    UNION ALL
    SELECT 'many_networks', id, organization, networks, NULL, last_seen_at FROM counted WHERE networks >= %(networks)s
    UNION ALL
    SELECT 'sudden_rise', id, organization, validations, earlier, last_seen_at
    FROM counted WHERE validations >= %(validations)s AND validations >= %(factor)s * earlier
)
SELECT pattern, id, organization, number, earlier, last_seen_at
FROM (SELECT odd.*, row_number() OVER (PARTITION BY pattern ORDER BY number DESC, id) AS place FROM odd) AS ranked
WHERE place <= %(top)s
ORDER BY pattern, place
