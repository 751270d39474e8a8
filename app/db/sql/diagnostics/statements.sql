-- What costs most altogether, of our own database, without maintenance and the questions of diagnostics. A statement
-- that several roles sent is one. The columns are named by who looked at the view: they changed their names once.
WITH own AS (
    SELECT queryid, query, calls, rows, {total} AS total, {max} AS max
    FROM {view}
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND query NOT LIKE %(mark)s
        AND query !~* '^\s*(vacuum|analyze|reindex|explain|begin|commit|rollback|savepoint|release)'
), summed AS (
    SELECT queryid, min(query) AS query, sum(calls) AS calls, sum(rows) AS rows, sum(total) AS total, max(max) AS max
    FROM own WHERE queryid IS NOT NULL GROUP BY queryid
)
SELECT queryid::text AS query_id, query AS statement, calls::bigint, total AS total_milliseconds,
    total / greatest(calls, 1)::float8 AS mean_milliseconds, max AS max_milliseconds, rows::bigint,
    total / greatest((SELECT sum(total) FROM own), 1e-9) AS share
FROM summed
ORDER BY total DESC, queryid
LIMIT %(limit)s
