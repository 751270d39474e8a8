"""What the doctor asks of the database: the server, our role in it, the operators, maintenance and schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from sqlalchemy import case, func, select

from app.db.models import Model, Schedule, User
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.fitness import Grant, RestoreRights, ScheduleFacts, ServerFacts
from app.domain.permissions import Role

ONLY_GROWING = ["audit_bases", "audit_events", "audit_links"]

_READ_SERVER_FACTS = read_sql("read_server_facts")
_READ_GRANTS = read_sql("read_grants")
_READ_UPKEEP = read_sql("read_upkeep")
_READ_RESTORE_RIGHTS = read_sql("read_restore_rights")
_READ_IDENTITY = """
    SELECT datname, oid::bigint, pg_postmaster_start_time()
    FROM pg_database WHERE datname = current_database()"""


@dataclass(frozen=True, slots=True)
class Operators:
    """How many operators can sign in, and how many of them without a second factor."""

    enabled: int
    without_second_factor: int


async def read_server_facts(tx: Session) -> ServerFacts:
    """What the server says of itself and of this session."""
    [row] = await _read(tx, _READ_SERVER_FACTS)
    return ServerFacts(*row)


async def list_unfit_grants(tx: Session) -> list[Grant]:
    """Privileges on our tables that the session's role lacks, or has and should not have."""
    parameters = {"tables": [*_our_tables(), "alembic_version"], "only_growing": ONLY_GROWING}
    return [Grant(*row) for row in await _read(tx, _READ_GRANTS, parameters)]


async def list_foreign_tables(tx: Session) -> list[tuple[str, str]]:
    """Our tables that the session's role can't look after, with their owners."""
    return [(row[0], row[1]) for row in await _read(tx, _READ_UPKEEP, {"tables": _our_tables()})]


async def read_restore_rights(tx: Session, server_role: str) -> RestoreRights:
    """What the session's role may do that a restore needs, where the server works as that role, its name quoted."""
    [row] = await _read(tx, _READ_RESTORE_RIGHTS, {"server_role": server_role})
    return RestoreRights(*row)


async def read_identity(tx: Session) -> tuple[Any, ...]:
    """What is different for each database of each server."""
    [row] = await _read(tx, _READ_IDENTITY)
    return row


async def read_operators(tx: Session) -> Operators:
    """The operators, counted."""
    is_enabled = User.disabled_at.is_(None)
    query = select(
        func.count().filter(is_enabled),
        func.count().filter(is_enabled, User.totp_confirmed_at.is_(None)),
    ).where(User.role == Role.OPERATOR)
    return Operators(*(await tx.execute(query)).one())


async def has_enabled_operator(tx: Session, email: str) -> bool:
    """Whether somebody can sign in as operator with this address."""
    query = select(User.id).where(User.role == Role.OPERATOR, User.disabled_at.is_(None), User.email == email)
    return await tx.scalar(query.limit(1)) is not None


async def list_schedules(tx: Session) -> list[ScheduleFacts]:
    """All schedules, by name, as they stand in the database."""
    waits_since = case((Schedule.is_enabled, func.coalesce(Schedule.next_run_at, Schedule.updated_at)))
    columns = (Schedule.name, Schedule.kind, Schedule.cron, Schedule.options, Schedule.missed, waits_since)
    query = select(*columns).order_by(Schedule.name)
    return [ScheduleFacts(*row) for row in await tx.execute(query)]


def _our_tables() -> list[str]:
    return sorted(Model.metadata.tables)


async def _read(
    tx: Session, statement: LiteralString, parameters: Mapping[str, list[str] | str] | None = None
) -> list[tuple[Any, ...]]:
    cursor = await (await driver_connection(tx)).execute(statement, parameters)
    return await cursor.fetchall()
