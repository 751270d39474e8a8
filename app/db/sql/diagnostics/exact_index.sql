-- Measures a btree: what its leaves hold less than a fresh one's would, and the pages that are empty.
SELECT round(current_setting('block_size')::int * (empty_pages + deleted_pages + leaf_pages
    * greatest(0, 1 - CASE avg_leaf_density WHEN 'NaN' THEN 0 ELSE avg_leaf_density END / %(fill_factor)s)))::bigint
FROM {function}(%(oid)s::oid::regclass)
