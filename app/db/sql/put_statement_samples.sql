-- What statements have cost up to a day; taking the sample of a day again replaces what it found.
INSERT INTO statement_samples (day, query_id, query, calls, total_milliseconds)
SELECT %(day)s::date, *
FROM unnest(%(query_ids)s::bigint[], %(queries)s::text[], %(calls)s::bigint[], %(milliseconds)s::float8[])
ON CONFLICT (day, query_id) DO UPDATE SET
    query = excluded.query,
    calls = excluded.calls,
    total_milliseconds = excluded.total_milliseconds
