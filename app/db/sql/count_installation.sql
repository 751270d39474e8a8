-- What there is in the whole installation, and how many connections the server of the database lets in. Sessions of
-- others can be counted without the right to look at them.
SELECT
    (SELECT count(*) FROM organizations),
    (SELECT count(*) FROM licenses),
    (SELECT count(*) FROM licenses WHERE status = 'ACTIVE'),
    (SELECT count(*) FROM machines),
    (SELECT count(*) FROM users WHERE disabled_at IS NULL),
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    current_setting('max_connections')::integer
