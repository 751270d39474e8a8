-- Runs once, when the data volume is empty, in the database that POSTGRES_DB names.
-- Slow statements are counted by the one, bloat is measured by the other.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
CREATE EXTENSION IF NOT EXISTS pgstattuple;
