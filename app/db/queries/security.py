"""What the security summary adds up, over all tenants: only callers of the installation ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import errors as pg
from sqlalchemy import select, text

from app.db.models import ApiKey, License, Organization, User
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.errors import WindowTooLarge
from app.domain.security import EVENTS_BY_KIND, TOP, Leader, OddLicense, Thresholds, Window

STATEMENT_SECONDS = 3
"""Three statements in a transaction of ten seconds."""

Parameters = dict[str, int | datetime | list[str]]

_SUM_SECURITY_EVENTS = read_sql("sum_security_events")
_FIND_ODD_LICENSES = read_sql("find_odd_licenses")
_FIND_KEY_GUESSERS = read_sql("find_key_guessers")


async def limit_statements(tx: Session, seconds: float = STATEMENT_SECONDS) -> None:
    """From now on a statement of this transaction that takes longer is WindowTooLarge."""
    limit = text("SELECT set_config('statement_timeout', :milliseconds, true)")
    await tx.execute(limit, {"milliseconds": str(round(seconds * 1000))})


async def sum_events(tx: Session, window: Window) -> Sequence[tuple[str | None, str | None, str | None, Leader]]:
    """Event, kind and subject of each row, with its number: totals of events and kinds, and the kinds' leaders."""
    pairs = [(event, kind.value) for kind, events in EVENTS_BY_KIND.items() for event in events]
    rows = await _read(
        tx,
        _SUM_SECURITY_EVENTS,
        {
            "since": window.since,
            "until": window.until,
            "events": [event for event, _ in pairs],
            "kinds": [kind for _, kind in pairs],
            "top": TOP,
        },
    )
    return [(event, kind, subject, Leader(name, count, seen)) for event, kind, subject, name, count, seen in rows]


async def find_odd_licenses(tx: Session, window: Window, thresholds: Thresholds) -> list[OddLicense]:
    """Licenses with an odd pattern, the most extreme first, at most ten of each pattern."""
    parameters: Parameters = {
        "before": window.since - (window.until - window.since),
        "since": window.since,
        "until": window.until,
        "machines": thresholds.machines_of_one_license,
        "networks": thresholds.networks_of_one_license,
        "validations": thresholds.validations_of_a_rise,
        "factor": thresholds.rise_factor,
        "top": TOP,
    }
    return [OddLicense(*row) for row in await _read(tx, _FIND_ODD_LICENSES, parameters)]


async def find_key_guessers(tx: Session, window: Window, thresholds: Thresholds) -> list[Leader]:
    """Addresses that asked for many unknown license keys, at most ten."""
    parameters: Parameters = {
        "since": window.since,
        "until": window.until,
        "unknown_keys": thresholds.unknown_keys_of_one_address,
        "top": TOP,
    }
    return [Leader(*row) for row in await _read(tx, _FIND_KEY_GUESSERS, parameters)]


async def find_titles(
    tx: Session, *, user_ids: Sequence[UUID], api_key_ids: Sequence[UUID], license_ids: Sequence[UUID]
) -> dict[UUID, str]:
    """What people call them: e-mail addresses, names of API keys, and the organizations of licenses."""
    by_license = select(License.id, Organization.name).join(Organization, Organization.id == License.organization_id)
    titles: dict[UUID, str] = {}
    for query in (
        select(User.id, User.email).where(User.id.in_(user_ids)),
        select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_(api_key_ids)),
        by_license.where(License.id.in_(license_ids)),
    ):
        titles.update({row[0]: row[1] for row in await tx.execute(query)})
    return titles


async def _read(tx: Session, statement: LiteralString, parameters: Parameters) -> list[tuple[Any, ...]]:
    connection = await driver_connection(tx)
    try:
        cursor = await connection.execute(statement, parameters)
        return await cursor.fetchall()
    except pg.QueryCanceled as error:
        raise WindowTooLarge from error
