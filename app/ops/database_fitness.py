"""Fitness of the database: asked of a real one, through the addresses that the server itself would use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from app.db import poolers
from app.db.engine import Database, connector
from app.db.migrations import head_revision
from app.db.queries import encryption, fitness, health
from app.db.queries.backup_evidence import is_backed_up_elsewhere
from app.db.queries.run_evidence import find_run_evidence
from app.db.session import driver_connection
from app.db.tools import TOOLS, find_fitting_tool, find_newest_tool
from app.domain import fitness as rules
from app.domain.errors import DatabaseUnavailable
from app.domain.findings import Finding, Level
from app.domain.run_evidence import judge_runs
from app.domain.runs import RunKind
from app.settings import Settings
from app.vault import Vault, VaultError, WrongKey

DEFAULT_EMAIL = "admin@example.com"
CONNECTIONS = 2
PAST_POOLER = "Set DATABASE_DIRECT_URL to PostgreSQL itself."

Clock = Callable[[], datetime]


async def check_database(settings: Settings, url: str, vault: Vault | VaultError, now: Clock) -> list[Finding]:
    """Everything about the database behind this address; one finding alone when it does not answer."""
    try:
        async with _opened(settings, url) as database:
            findings = await _check_server(database, now)
            findings.append(await _check_pooler(settings, url))
            rights = await _check_rights(settings, database)
            findings += [*rights, *await _check_direct(settings, database, url)]
            may_read = not any(one.check == rules.GRANTS and one.level is Level.BAD for one in rights)
            if may_read and await _is_at_head(database, findings):
                findings += await _check_contents(settings, database, vault, now)
            return findings
    except DatabaseUnavailable as error:
        return [_away(settings, error)]


@asynccontextmanager
async def _opened(settings: Settings, url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=CONNECTIONS, connect=connector(settings))
    try:
        yield database
    finally:
        await database.close()


async def _check_server(database: Database, now: Clock) -> list[Finding]:
    async with database.transaction() as tx:
        await fitness.read_server_facts(tx)  # so that the next one costs a trip and nothing else
        before = now()
        facts = await fitness.read_server_facts(tx)
        difference = facts.now - (before + (now() - before) / 2)
    return [
        Finding("database", Level.GOOD, "The database answers."),
        *rules.judge_server(facts),
        *rules.judge_extensions(facts),
        rules.judge_session(facts),
        rules.judge_clock(difference),
        *await asyncio.to_thread(_check_tools, facts.major),
    ]


def _check_tools(major: int) -> list[Finding]:
    findings = []
    for name in TOOLS:
        action = f"apt-get install postgresql-client-{major}"
        fitting, newest = find_fitting_tool(name, major), find_newest_tool(name)
        if fitting is not None:
            findings.append(Finding("tools", Level.GOOD, f"{name} {fitting[1]} fits the server."))
        elif newest is not None:
            path, version = newest
            sentence = f"{path} is of version {version}, and refuses a server of version {major}: there are no backups."
            findings.append(Finding("tools", Level.BAD, sentence, action))
        else:
            sentence = f"{name} is not there, or does not run: backups can be neither made nor restored."
            findings.append(Finding("tools", Level.WARNING, sentence, action))
    return findings


async def _check_pooler(settings: Settings, url: str) -> Finding:
    pooling = await poolers.find_pooling(url)
    if pooling is poolers.Pooling.NONE:
        return Finding("pooler", Level.GOOD, "No pooler is in between.")
    if settings.database_direct_url is not None:
        return Finding("pooler", Level.GOOD, "A pooler is in between, and DATABASE_DIRECT_URL leads past it.")
    level = Level.BAD if pooling is poolers.Pooling.TRANSACTION else Level.WARNING
    sentence = "A pooler is in between: in transaction mode prepared statements and locks of migrations break."
    return Finding("pooler", level, sentence, PAST_POOLER)


async def _is_at_head(database: Database, findings: list[Finding]) -> bool:
    async with database.transaction() as tx:
        revision, head = await health.schema_revision(await driver_connection(tx)), head_revision()
    if revision == head:
        findings.append(Finding("database_schema", Level.GOOD, f"The schema is at {head}."))
        return True
    sentence = f"The schema is at {revision or 'nothing'}, not at {head}."
    findings.append(Finding("database_schema", Level.BAD, sentence, "license-server migrate"))
    return False


async def _check_rights(settings: Settings, database: Database) -> list[Finding]:
    async with database.transaction() as tx:
        facts = await fitness.read_server_facts(tx)
        grants = await fitness.list_unfit_grants(tx)
    return list(rules.judge_grants(facts, grants, is_own=settings.database_url is None))


async def _check_direct(settings: Settings, database: Database, url: str) -> list[Finding]:
    """The address for migrations and maintenance: whether it is there, direct, of this database, and of use."""
    async with database.transaction() as tx:
        identity = await fitness.read_identity(tx)
        server_role = (await fitness.read_server_facts(tx)).role
    url = settings.direct_url(url)
    try:
        async with _opened(settings, url) as direct, direct.transaction() as tx:
            facts = await fitness.read_server_facts(tx)
            foreign = await fitness.list_foreign_tables(tx)
            rights = await fitness.read_restore_rights(tx, server_role)
            is_same = await fitness.read_identity(tx) == identity
        is_behind_pooler = settings.database_direct_url is not None and await poolers.is_behind_pooler(url)
    except DatabaseUnavailable as error:
        sentence = f"The database does not answer at DATABASE_DIRECT_URL ({_reason(error)})."
        return [Finding("direct_url", Level.BAD, sentence, "Mend DATABASE_DIRECT_URL.")]
    findings = []
    if is_behind_pooler:
        sentence = "DATABASE_DIRECT_URL leads through a pooler: locks of migrations and maintenance do not hold there."
        findings.append(Finding("direct_url", Level.BAD, sentence, PAST_POOLER))
    if not is_same:
        sentence = "DATABASE_DIRECT_URL and DATABASE_URL are different databases: migrations and maintenance miss ours."
        findings.append(Finding("direct_url", Level.BAD, sentence, "Set DATABASE_DIRECT_URL to the same database."))
    owner, tables = foreign[0][1] if foreign else "", [table for table, _ in foreign]
    verifies_here = settings.verify_database_url is None
    return [
        *findings,
        rules.judge_upkeep(tables, owner, facts.role, has_privilege=facts.major >= 17),
        rules.judge_restore_rights(rights, server_role, verifies_here=verifies_here),
        *await _check_verify_server(settings, facts.major),
    ]


async def _check_verify_server(settings: Settings, major: int) -> list[Finding]:
    """The server on which backups are restored on trial, where it is another one."""
    if settings.verify_database_url is None:
        return []
    try:
        async with (
            _opened(settings, settings.verify_database_url.get_secret_value()) as server,
            server.transaction() as tx,
        ):
            facts = await fitness.read_server_facts(tx)
            rights = await fitness.read_restore_rights(tx, facts.role)
    except DatabaseUnavailable as error:
        sentence = f"The database does not answer at VERIFY_DATABASE_URL ({_reason(error)}): nothing can be verified."
        return [Finding("verify_database", Level.BAD, sentence, "Start it, or mend VERIFY_DATABASE_URL.")]
    return [rules.judge_verify_server(facts, rights, major)]


async def _check_contents(
    settings: Settings, database: Database, vault: Vault | VaultError, now: Clock
) -> list[Finding]:
    findings = [await _check_keys(database, vault)]
    async with database.transaction() as tx:
        operators = await fitness.read_operators(tx)
        is_default = await fitness.has_enabled_operator(tx, DEFAULT_EMAIL)
        last_vacuum = await find_run_evidence(tx, RunKind.VACUUM, limit=1)
        schedules = await fitness.list_schedules(tx)
        is_elsewhere = await is_backed_up_elsewhere(tx, now=now())
    if operators.enabled == 0:
        sentence = "No operator can sign in."
        findings.append(Finding("operators", Level.BAD, sentence, "license-server users enable EMAIL"))
    elif operators.without_second_factor:
        sentence = f"{operators.without_second_factor} of {operators.enabled} operators have no second factor."
        action = "OPERATOR_SECOND_FACTOR_REQUIRED=true"
        level = Level.GOOD if settings.operator_second_factor_required else Level.WARNING
        findings.append(Finding("second_factors", level, sentence, None if level is Level.GOOD else action))
    else:
        findings.append(Finding("second_factors", Level.GOOD, "All operators have a second factor."))
    if is_default:
        sentence = f"An operator still has the address {DEFAULT_EMAIL}, which everybody knows and no mail reaches."
        action = f"license-server users invite --email YOUR@ADDRESS --role OPERATOR; then disable {DEFAULT_EMAIL}"
        findings.append(Finding("admin_email", Level.WARNING, sentence, action))
    findings += rules.judge_schedules(
        schedules, now(), is_ours=settings.schedules_enabled, is_backed_up_elsewhere=is_elsewhere
    )
    # Whether schedules work is seen by what has come of them, too.
    findings.append(judge_runs(last_vacuum, now()))
    return findings


async def _check_keys(database: Database, vault: Vault | VaultError) -> Finding:
    check = "encryption_key"
    if isinstance(vault, VaultError):
        return Finding(check, Level.BAD, str(vault), "Restore the key from your copy of it.")
    async with database.transaction() as tx:
        tokens = [
            row[1]
            for place in encryption.encrypted_columns()
            for row in await encryption.list_encrypted(tx, place, after=None, limit=1)
        ]
    try:
        for token in tokens:
            vault.decrypt(token)
    except WrongKey:
        sentence = "ENCRYPTION_KEY does not open what is stored: license keys, second factors and mail can't be read."
        return Finding(check, Level.BAD, sentence, "Add the key it was encrypted with to the end of ENCRYPTION_KEY.")
    return Finding(check, Level.GOOD, "ENCRYPTION_KEY opens what is stored.")


def _away(settings: Settings, error: DatabaseUnavailable) -> Finding:
    reason = _reason(error)
    if "unsupported startup parameter" in reason:
        sentence = "A pooler is in between that does not let sessions set their limits."
        return Finding("pooler", Level.BAD, sentence, PAST_POOLER)
    what = "DATABASE_URL" if settings.database_url else "the embedded PostgreSQL"
    sentence = f"The database does not answer at {what} ({reason})."
    return Finding("database", Level.BAD, sentence, "Start it, or mend its address, then run: license-server doctor")


def _reason(error: DatabaseUnavailable) -> str:
    """What the driver said: it names host, port and user, and never a password."""
    cause = getattr(error.__cause__, "orig", None) or error.__cause__ or error
    return (" ".join(str(cause).split())[:300] or type(cause).__name__).rstrip(".")
