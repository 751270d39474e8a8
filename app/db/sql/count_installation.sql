-- What there is in the whole installation.
SELECT
    (SELECT count(*) FROM organizations),
    (SELECT count(*) FROM licenses),
    (SELECT count(*) FROM licenses WHERE status = 'ACTIVE'),
    (SELECT count(*) FROM machines),
    (SELECT count(*) FROM users WHERE disabled_at IS NULL)
