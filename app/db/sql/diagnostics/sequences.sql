-- How far sequences are, also those that count down. The limit is that of the sequence, or of the column that it fills
-- when that is smaller. Without a grant on the sequence its last value is null.
WITH own AS (
    SELECT space.nspname, c.relname, q.seqtypid, q.seqincrement, q.seqcycle, q.seqmax, q.seqmin, column_of.attname,
        t.relname AS table_name, pg_sequence_last_value(c.oid) AS last_value,
        CASE column_of.atttypid WHEN 'smallint'::regtype THEN 32767 WHEN 'integer'::regtype THEN 2147483647
            ELSE 9223372036854775807 END AS column_max
    FROM pg_sequence AS q
    JOIN pg_class AS c ON c.oid = q.seqrelid
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    LEFT JOIN pg_depend AS d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
    LEFT JOIN pg_attribute AS column_of ON column_of.attrelid = d.refobjid AND column_of.attnum = d.refobjsubid
    LEFT JOIN pg_class AS t ON t.oid = d.refobjid
    WHERE space.nspname !~ '^pg_temp'
), bounded AS (
    SELECT own.*, CASE WHEN seqincrement > 0 THEN least(seqmax, column_max) ELSE greatest(seqmin, -column_max - 1) END
        AS bound
    FROM own
)
SELECT nspname AS schema_name, relname AS sequence_name, table_name || '.' || attname AS column,
    format_type(seqtypid, NULL) AS data_type, last_value, bound AS limit,
    CASE WHEN last_value IS NULL THEN NULL WHEN bound = 0 THEN 1
        ELSE greatest(0, last_value::float8 / bound::float8) END AS used_share,
    seqcycle AS is_cycle
FROM bounded
ORDER BY used_share DESC NULLS LAST, 1, 2
LIMIT %(limit)s
