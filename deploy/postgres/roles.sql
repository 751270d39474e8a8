-- Four roles, each with no more than it needs. Run it in the server's database, as a superuser or as a role that may make
-- roles and owns the database; run it again whenever you like:
--
--   psql -d itechsmart_licenses -f deploy/postgres/roles.sql
--   psql -d itechsmart_licenses -c '\password license_server_owner' -c '\password license_server'
--
--   license_server_owner        owns the tables and brings them to a new release    DATABASE_DIRECT_URL
--   license_server              reads and writes rows, and nothing else             DATABASE_URL
--   license_server_maintenance  vacuums, analyzes, rebuilds indexes; reads no row (on 15 and 16: as the owner)
--   license_server_monitor      reads statistics, no table
--
-- Other names: psql -v owner=... -v app=... -v maintenance=... -v monitor=...
-- The server's own runs (vacuum, reindex, partitions, retention) use DATABASE_DIRECT_URL: partitions are made and dropped,
-- old audit events are archived and broken indexes dropped by their owner alone. `license_server_maintenance` is for what
-- you run yourself.

\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;

\if :{?owner} \else \set owner license_server_owner \endif
\if :{?app} \else \set app license_server \endif
\if :{?maintenance} \else \set maintenance license_server_maintenance \endif
\if :{?monitor} \else \set monitor license_server_monitor \endif

BEGIN;

-- The roles, without passwords: nobody signs in before you have given them one, or a certificate.
SELECT format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE', wanted)
FROM unnest(ARRAY[:'owner', :'app', :'maintenance', :'monitor']) AS wanted
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted)
\gexec

-- What is there already changes hands, also what another role has migrated. Whoever does that must be both.
SELECT format('GRANT %I TO CURRENT_USER', :'owner')
WHERE NOT pg_has_role(current_user, :'owner', 'MEMBER')
\gexec
SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, :'owner')
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relowner <> :'owner'::regrole
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid
\gexec
SELECT format('ALTER FUNCTION %s OWNER TO %I', p.oid::regprocedure, :'owner')
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND p.proowner <> :'owner'::regrole
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
ORDER BY p.oid
\gexec

-- The owner makes databases beside this one, to try backups and to restore them, and puts one of them in its place; for
-- that it owns this one and ends the sessions in it. Without these three rights it says so before it starts.
SELECT rolsuper OR rolcreatedb AS may_create FROM pg_roles WHERE rolname = current_user
\gset
\if :may_create
ALTER ROLE :"owner" CREATEDB;
ALTER DATABASE :"DBNAME" OWNER TO :"owner";
GRANT pg_signal_backend TO :"owner";
\endif

-- The database is ours: nobody else comes in, and only the owner makes tables.
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO :"owner", :"app", :"maintenance", :"monitor";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO :"owner";
GRANT USAGE ON SCHEMA public TO :"app", :"maintenance", :"monitor";

-- The server: rows of tables that are there, and of those that later releases make.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"app";
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT USAGE ON SEQUENCES TO :"app";

-- The audit trail only grows, and the revision of the schema is the owner's.
SELECT format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %I, %I', name, :'app', :'owner')
FROM unnest(ARRAY['public.audit_events', 'public.audit_links', 'public.audit_bases']) AS name
WHERE to_regclass(name) IS NOT NULL
\gexec
SELECT format('REVOKE INSERT ON public.audit_bases FROM %I', :'app') WHERE to_regclass('public.audit_bases') IS NOT NULL
\gexec
SELECT format('REVOKE INSERT, UPDATE, DELETE ON public.alembic_version FROM %I', :'app')
WHERE to_regclass('public.alembic_version') IS NOT NULL
\gexec

-- Limits of a session: behind a transaction-mode pooler the server cannot set them itself. They are the role's, in every
-- database, so that they hold in one that was restored as well.
ALTER ROLE :"app" IN DATABASE :"DBNAME" RESET ALL;
ALTER ROLE :"maintenance" IN DATABASE :"DBNAME" RESET ALL;
ALTER ROLE :"monitor" IN DATABASE :"DBNAME" RESET ALL;
ALTER ROLE :"app" SET timezone = 'UTC';
ALTER ROLE :"app" SET statement_timeout = '8s';
ALTER ROLE :"app" SET lock_timeout = '3s';
ALTER ROLE :"app" SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE :"maintenance" SET lock_timeout = '3s';
ALTER ROLE :"monitor" SET statement_timeout = '15s';
ALTER ROLE :"monitor" SET default_transaction_read_only = 'on';

-- Maintenance. PostgreSQL 17 has a privilege for it; before, only the owner may, so the role is a member of the owner.
SELECT current_setting('server_version_num')::int >= 170000 AS has_maintain
\gset
\if :has_maintain
SELECT format('REVOKE %I FROM %I', :'owner', :'maintenance')
WHERE pg_has_role(:'maintenance', :'owner', 'MEMBER')
\gexec
GRANT MAINTAIN ON ALL TABLES IN SCHEMA public TO :"maintenance";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public GRANT MAINTAIN ON TABLES TO :"maintenance";
\else
GRANT :"owner" TO :"maintenance";
\endif

-- Statistics of all sessions and statements. Not for the server itself: in a cluster that you share they show statements
-- of others. Where the cluster is yours, its reports are complete with GRANT pg_monitor TO license_server.
GRANT pg_read_all_stats TO :"maintenance";
GRANT pg_monitor TO :"monitor";

COMMIT;
