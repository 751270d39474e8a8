-- Runs once, when the data volume is empty, in the database that POSTGRES_DB names.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
