-- Whether the log is archived, and whether the last try failed.
SELECT current_setting('archive_mode') <> 'off' AS is_on, archived_count AS archived, failed_count AS failed,
    last_archived_time AS last_archived_at, last_failed_time AS last_failed_at,
    current_setting('archive_mode') <> 'off' AND last_failed_time IS NOT NULL
        AND (last_archived_time IS NULL OR last_failed_time > last_archived_time) AS is_failing
FROM pg_stat_archiver
