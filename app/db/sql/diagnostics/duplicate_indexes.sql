-- Indexes that another one of the same table makes superfluous: the same columns in the same order, or (in a btree) the
-- first ones of it, with the same operators, collations, directions, condition and expressions. What is unique, a
-- constraint or the replica identity is never superfluous. Of two that are the same, the younger one is. Expressions
-- are compared as they are stored, without their place in the text: to write them out would need a lock on the table.
WITH own AS (
    SELECT i.indexrelid, i.indrelid, c.relam, am.amname, i.indisunique, space.nspname, t.relname AS table_name,
        c.relname, c.relkind, i.indnkeyatts AS keys, (i.indkey::int2[])[0:i.indnkeyatts - 1] AS columns,
        (i.indkey::int2[])[i.indnkeyatts:] AS included, i.indkey::int2[] AS all_columns, i.indclass::oid[] AS classes,
        i.indcollation::oid[] AS collations, i.indoption::int2[] AS options,
        coalesce(regexp_replace(i.indpred::text, ':location -?[0-9]+', '', 'g'), '') AS condition,
        coalesce(regexp_replace(i.indexprs::text, ':location -?[0-9]+', '', 'g'), '') AS expressions,
        NOT (i.indisunique OR i.indisprimary OR i.indisexclusion OR i.indisreplident)
            AND NOT EXISTS (SELECT FROM pg_constraint AS con WHERE con.conindid = i.indexrelid) AS is_free,
        (SELECT coalesce(sum(pg_relation_size(part.oid)), 0)::bigint
            FROM (SELECT i.indexrelid AS oid UNION SELECT relid FROM pg_partition_tree(i.indexrelid)) AS part) AS bytes,
        coalesce(s.idx_scan, 0) AS scans
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid AND NOT c.relispartition
    JOIN pg_class AS t ON t.oid = i.indrelid
    JOIN pg_am AS am ON am.oid = c.relam
    JOIN pg_namespace AS space ON space.oid = c.relnamespace
    LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = i.indexrelid
    WHERE i.indisvalid AND space.nspname NOT IN ('pg_catalog', 'information_schema')
        AND space.nspname !~ '^pg_(toast|temp)'
)
SELECT DISTINCT ON (a.bytes, a.nspname, a.relname)
    a.nspname AS schema_name, a.table_name, a.relname AS index_name,
    CASE WHEN a.keys = b.keys THEN 'duplicate' ELSE 'prefix' END AS kind,
    pg_get_indexdef(a.indexrelid) AS definition, a.scans, a.bytes, b.relname AS covered_by,
    pg_get_indexdef(b.indexrelid) AS covering_definition, b.scans AS covering_scans,
    format('DROP INDEX %%s%%I.%%I;', CASE a.relkind WHEN 'i' THEN 'CONCURRENTLY ' ELSE '' END, a.nspname, a.relname)
        AS action
FROM own AS a
JOIN own AS b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid AND b.relam = a.relam
WHERE a.is_free AND a.condition = b.condition AND a.columns = b.columns[1:a.keys]
    AND a.classes[0:a.keys - 1] = b.classes[0:a.keys - 1]
    AND a.collations[0:a.keys - 1] = b.collations[0:a.keys - 1] AND a.options[0:a.keys - 1] = b.options[0:a.keys - 1]
    AND a.included <@ b.all_columns AND (a.expressions = b.expressions AND a.keys = b.keys OR a.expressions = ''
        AND a.amname = 'btree' AND NOT 0 = ANY (a.columns))
    AND (a.keys < b.keys OR NOT b.is_free OR cardinality(a.included) < cardinality(b.included)
        OR a.indexrelid > b.indexrelid AND cardinality(a.included) = cardinality(b.included))
ORDER BY a.bytes DESC, a.nspname, a.relname, b.keys, b.indexrelid
LIMIT %(limit)s
