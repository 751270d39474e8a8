-- Measures a table or its TOAST: what is free in its pages, and what dead rows hold.
SELECT (approx_free_space + dead_tuple_len)::bigint FROM {function}(%(oid)s::oid::regclass)
