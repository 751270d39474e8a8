"""Fitness: whether a database, and the role that we have in it, is what the server needs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.findings import Finding, Level
from app.domain.runs import RunKind
from app.domain.schedules import GRACE, LONGEST_WAIT, ScheduleBroken, read_terms

OLDEST_VERSION, NEWEST_VERSION = 15, 18
CLOCK_WARNING = timedelta(seconds=2)
CLOCK_BAD = timedelta(seconds=30)
SCHEDULE_OVERDUE = GRACE + LONGEST_WAIT
"""Slots are looked at every few seconds, by a cron outside every few minutes; and one may wait for another run."""
USUAL_SCHEDULES: Mapping[RunKind, tuple[str, str]] = {
    RunKind.VACUUM: ("weekly-vacuum", "30 4 * * SUN"),
    RunKind.REINDEX: ("monthly-reindex", "30 5 * * SUN#1"),
    RunKind.PRUNE: ("monthly-prune", "30 3 1 * *"),
    RunKind.BACKUP: ("daily-backup", "0 2 * * *"),
    RunKind.VERIFY: ("weekly-verify", "0 7 * * SUN"),
}
"""What every installation needs done now and then, and the schedules for it that one begins with."""
GRANTS = "database_grants"
MAKE_ROLES = "psql -d itechsmart_licenses -f deploy/postgres/roles.sql"


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a database server says of itself and of our session; `role` is written as SQL wants it."""

    version: int
    encoding: str
    has_fsync: bool
    has_full_page_writes: bool
    has_checksums: bool
    is_standby: bool
    is_superuser: bool
    role: str
    has_statement_timeout: bool
    has_lock_timeout: bool
    has_idle_timeout: bool
    time_zone: str
    has_statements: bool
    preloads_statements: bool
    has_tuples: bool
    may_have_tuples: bool
    now: datetime

    @property
    def major(self) -> int:
        """15 of 15.8."""
        return self.version // 10_000


@dataclass(frozen=True, slots=True)
class Grant:
    """A privilege that the role has and should not have (`may`), or lacks."""

    table: str
    privilege: str
    may: bool


@dataclass(frozen=True, slots=True)
class RestoreRights:
    """What a role may do of what a restore needs; the names of role and database are written as SQL wants them."""

    role: str
    database: str
    may_create: bool
    is_owner: bool
    may_end_sessions: bool


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """A schedule as the database has it: whoever changed it there may have broken it.

    `waits_since` is the slot it waits for, or, when nobody has planned one, its making; None while it is disabled.
    """

    name: str
    kind: str
    cron: str
    options: Any
    missed: str
    waits_since: datetime | None


def judge_server(facts: ServerFacts) -> Iterator[Finding]:
    """The server itself: version, encoding, and whether it keeps what it was given."""
    if OLDEST_VERSION <= facts.major <= NEWEST_VERSION:
        yield Finding("database_version", Level.GOOD, f"PostgreSQL {facts.major}.")
    else:
        sentence = f"PostgreSQL {facts.major}; {OLDEST_VERSION} to {NEWEST_VERSION} are supported."
        level = Level.BAD if facts.major < OLDEST_VERSION else Level.WARNING
        yield Finding("database_version", level, sentence, "Move the database to a supported version.")
    if facts.encoding != "UTF8":
        action = "CREATE DATABASE itechsmart_licenses ENCODING 'UTF8' TEMPLATE template0"
        yield Finding("database_encoding", Level.BAD, f"The database is in {facts.encoding}, not UTF8.", action)
    if facts.is_standby:
        sentence = "The database is a standby, which takes no writes."
        yield Finding("database_standby", Level.BAD, sentence, "Set DATABASE_URL to the primary.")
    yield from _judge_durability(facts)


def _judge_durability(facts: ServerFacts) -> Iterator[Finding]:
    for name, is_on in (("fsync", facts.has_fsync), ("full_page_writes", facts.has_full_page_writes)):
        if not is_on:
            sentence = f"{name} is off: a power failure can destroy the database."
            action = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
            yield Finding("database_durability", Level.BAD, sentence, action)
    if facts.has_fsync and facts.has_full_page_writes:
        yield Finding("database_durability", Level.GOOD, "What is committed survives a power failure.")
    if not facts.has_checksums:
        sentence = "Data checksums are off: damage by the disk goes unnoticed."
        yield Finding("database_checksums", Level.WARNING, sentence, 'pg_checksums --enable -D "$PGDATA"  # stopped')


def judge_session(facts: ServerFacts) -> Finding:
    """Whether no statement of the server can wait or run for ever, and moments are in UTC."""
    limits = {
        "statement_timeout": (facts.has_statement_timeout, "8s"),
        "lock_timeout": (facts.has_lock_timeout, "3s"),
        "idle_in_transaction_session_timeout": (facts.has_idle_timeout, "15s"),
        "timezone": (facts.time_zone == "UTC", "UTC"),
    }
    missing = {name: value for name, (is_set, value) in limits.items() if not is_set}
    if not missing:
        return Finding("session_limits", Level.GOOD, "Statements and waits for locks have an end.")
    sentence = f"Sessions lack {', '.join(missing)}; behind a pooler they must come with the role."
    action = " ".join(f"ALTER ROLE {facts.role} SET {name} = '{value}';" for name, value in missing.items())
    return Finding("session_limits", Level.WARNING, sentence, action)


def judge_extensions(facts: ServerFacts) -> Iterator[Finding]:
    """What reports on slow statements and exact bloat need."""
    check = "extension_pg_stat_statements"
    if not facts.preloads_statements:
        action = (
            "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'; -- beside what is there; then restart"
            " PostgreSQL and CREATE EXTENSION IF NOT EXISTS pg_stat_statements;"
        )
        yield Finding(check, Level.WARNING, "pg_stat_statements is not preloaded: no report on slow queries.", action)
    elif not facts.has_statements:
        action = "CREATE EXTENSION pg_stat_statements;"
        yield Finding(check, Level.WARNING, "pg_stat_statements is not created: no report on slow queries.", action)
    else:
        yield Finding(check, Level.GOOD, "Slow queries are counted.")
    if not facts.has_tuples:
        action = "CREATE EXTENSION pgstattuple;" if facts.may_have_tuples else "Install PostgreSQL's contrib package."
        sentence = "pgstattuple is not there: bloat can be estimated, and not measured."
        yield Finding("extension_pgstattuple", Level.UNAVAILABLE, sentence, action)


def judge_clock(difference: timedelta) -> Finding:
    """How far the database's clock is from ours."""
    seconds, check = abs(difference).total_seconds(), "clock"
    action = "timedatectl set-ntp true  # on both machines"
    if abs(difference) > CLOCK_BAD:
        sentence = f"The clocks of this machine and the database differ by {seconds:.0f} s: second factors fail."
        return Finding(check, Level.BAD, sentence, action)
    if abs(difference) > CLOCK_WARNING:
        sentence = f"The clocks of this machine and the database differ by {seconds:.1f} s."
        return Finding(check, Level.WARNING, sentence, action)
    return Finding(check, Level.GOOD, "The clocks of this machine and the database agree.")


def judge_grants(facts: ServerFacts, grants: Sequence[Grant], *, is_own: bool) -> Iterator[Finding]:
    """Whether the role may what the server does, and no more; in a database of its own (`is_own`) it may everything."""
    check = GRANTS
    if facts.is_superuser and is_own:
        yield Finding(check, Level.GOOD, "The embedded PostgreSQL belongs to the server, which nobody else reaches.")
        return
    if facts.is_superuser:
        sentence = f"The server works as {facts.role}, a superuser: whoever breaks in can do anything to the database."
        yield Finding(check, Level.WARNING, sentence, MAKE_ROLES)
        return
    lacking = [grant for grant in grants if not grant.may]
    forbidden = [grant for grant in grants if grant.may]
    if lacking:
        sentence = f"The role {facts.role} may not {_listed(lacking)}."
        action = f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_tables(lacking)} TO {facts.role};"
        yield Finding(check, Level.BAD, sentence, action)
    if forbidden:
        sentence = f"The role {facts.role} may {_listed(forbidden)}: the audit trail must only grow."
        action = f"REVOKE UPDATE, DELETE, TRUNCATE ON {_tables(forbidden)} FROM {facts.role};"
        yield Finding(check, Level.WARNING, sentence, action)
    if not grants:
        yield Finding(check, Level.GOOD, f"The role {facts.role} may read and write what it needs.")


def judge_upkeep(foreign: Sequence[str], owner: str, role: str, has_privilege: bool) -> Finding:
    """Whether maintenance has effect: without the right it skips tables and reports success."""
    check = "maintenance_grants"
    if not foreign:
        return Finding(check, Level.GOOD, f"Maintenance works as {role} on all tables.")
    sentence = f"As {role}, vacuum and reindex skip {len(foreign)} tables, of {owner}; so do migrations and retention."
    grant = (
        f"GRANT MAINTAIN ON ALL TABLES IN SCHEMA public TO {role};" if has_privilege else f"GRANT {owner} TO {role};"
    )
    return Finding(check, Level.WARNING, sentence, f"Set DATABASE_DIRECT_URL to the database as {owner}, or {grant}")


def judge_restore_rights(rights: RestoreRights, server_role: str, *, verifies_here: bool) -> Finding:
    """Whether backups can be restored as this role, and restored on trial where that is done on the same server."""
    check, lacking, grants = "restore_grants", [], []
    if not rights.may_create:
        lacking.append("create databases")
        grants.append(f"ALTER ROLE {rights.role} CREATEDB;")
    if not rights.is_owner:
        lacking.append(f"rename {rights.database}")
        grants.append(f"ALTER DATABASE {rights.database} OWNER TO {rights.role};")
    if not rights.may_end_sessions:
        lacking.append(f"end the sessions of {server_role}")
        grants.append(f"GRANT pg_signal_backend TO {rights.role};")
    if not lacking:
        return Finding(check, Level.GOOD, f"The role {rights.role} may do what a restore needs.")
    what = "verified or restored" if verifies_here and not rights.may_create else "restored"
    sentence = f"Backups can't be {what} as {rights.role}, which may not {', '.join(lacking)}."
    return Finding(check, Level.WARNING, sentence, " ".join(grants))


def judge_verify_server(facts: ServerFacts, rights: RestoreRights, major: int) -> Finding:
    """Whether backups of a server of this version can be restored on trial at VERIFY_DATABASE_URL."""
    check = "verify_database"
    if facts.major < major:
        sentence = f"VERIFY_DATABASE_URL is PostgreSQL {facts.major}, older than the {major} that backups are of."
        return Finding(check, Level.BAD, sentence, f"Set VERIFY_DATABASE_URL to a PostgreSQL {major}, or to none.")
    if not rights.may_create:
        sentence = f"At VERIFY_DATABASE_URL the role {rights.role} may not create databases: nothing can be verified."
        return Finding(check, Level.BAD, sentence, f"ALTER ROLE {rights.role} CREATEDB;")
    return Finding(check, Level.GOOD, f"Backups can be verified as {rights.role} at VERIFY_DATABASE_URL.")


def judge_schedules(
    schedules: Sequence[ScheduleFacts], now: datetime, *, is_ours: bool, is_backed_up_elsewhere: bool = False
) -> Iterator[Finding]:
    """Whether somebody looks at the schedules, each can be read, and all that an installation needs is scheduled.

    `is_ours` says that servers look at them, and not a cron outside; where another tool makes the backups, none of ours
    need be scheduled.
    """
    needed = set(USUAL_SCHEDULES) - ({RunKind.BACKUP, RunKind.VERIFY} if is_backed_up_elsewhere else set())
    enabled = [one for one in schedules if one.waits_since is not None]
    problems = [
        *_judge_broken(enabled),
        *_judge_overdue(enabled, now, is_ours=is_ours),
        *_judge_missing(schedules, needed),
    ]
    if problems:
        yield from problems
    elif is_ours:
        yield Finding("schedules", Level.GOOD, f"{len(enabled)} schedules are enabled, and none is late.")
    else:
        sentence = f"{len(enabled)} schedules are left to a cron outside (SCHEDULES_ENABLED=false), and none is late."
        yield Finding("schedules", Level.GOOD, sentence)


def _judge_broken(enabled: Sequence[ScheduleFacts]) -> Iterator[Finding]:
    for one in enabled:
        try:
            read_terms(one.name, one.kind, one.cron, one.options, one.missed)
        except ScheduleBroken as error:
            usual = {name: (kind, cron) for kind, (name, cron) in USUAL_SCHEDULES.items()}
            kind, cron = usual.get(one.name, ("KIND", "CRON"))
            action = f"license-server schedules set {shlex.quote(one.name)} --kind {kind} --cron '{cron}'"
            yield Finding("schedules", Level.WARNING, error.message, action)


def _judge_overdue(enabled: Sequence[ScheduleFacts], now: datetime, *, is_ours: bool) -> Iterator[Finding]:
    slots = {one.name: one.waits_since for one in enabled if one.waits_since is not None}
    late = sorted(name for name, at in slots.items() if now - at > SCHEDULE_OVERDUE)
    if not late:
        return
    since = f"since {min(slots[name] for name in late):%Y-%m-%d %H:%MZ} nobody has looked at {_named(late)}"
    if is_ours:
        sentence = f"Schedules are late: {since}; a running server does."
        yield Finding("schedules", Level.WARNING, sentence, "Start the server, or: license-server schedules run-due")
    else:
        sentence = f"Schedules are late: {since}. SCHEDULES_ENABLED=false leaves them to a cron outside."
        action = "*/5 * * * * license-server schedules run-due  # in the crontab; or set SCHEDULES_ENABLED=true"
        yield Finding("schedules", Level.WARNING, sentence, action)


def _judge_missing(schedules: Sequence[ScheduleFacts], needed: Set[RunKind]) -> Iterator[Finding]:
    names = {one.name for one in schedules}
    for kind, (name, cron) in USUAL_SCHEDULES.items():
        if kind not in needed or any(one.kind == kind and one.waits_since is not None for one in schedules):
            continue
        switch, make = f"enable {name}", f"set {name} --kind {kind} --cron '{cron}'"
        action = f"license-server schedules {switch if name in names else make}"
        yield Finding("schedules", Level.WARNING, f"No schedule that is enabled does {kind}.", action)


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) if len(names) <= 5 else f"{', '.join(names[:5])} and {len(names) - 5} others"


def _listed(grants: Sequence[Grant]) -> str:
    shown = ", ".join(f"{grant.privilege} {grant.table}" for grant in grants[:5])
    return shown if len(grants) <= 5 else f"{shown} and {len(grants) - 5} others"


def _tables(grants: Sequence[Grant]) -> str:
    return ", ".join(sorted({grant.table for grant in grants}))
