-- Sequences whose last value this role may not read.
SELECT count(*) FROM pg_sequence AS q WHERE NOT has_sequence_privilege(q.seqrelid, 'SELECT, USAGE')
