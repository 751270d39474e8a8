"""Queries of reports, over all tenants: only callers of the installation ask for them."""

from __future__ import annotations

from datetime import datetime

from psycopg import errors as pg
from sqlalchemy import select

from app.db.models import ApiKey, Organization, User
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.access_review import LivingApiKey, UnusedAccount
from app.domain.capacity import Installed, ValidationVolume
from app.domain.errors import WindowTooLarge
from app.domain.permissions import Role

_FIND_UNUSED_ACCOUNTS = read_sql("find_unused_accounts")
_COUNT_INSTALLATION = read_sql("count_installation")
_SUM_VALIDATIONS = """
    SELECT (occurred_at AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (WHERE code <> 'VALID')
    FROM validation_events
    WHERE occurred_at >= %(since)s AND occurred_at < %(until)s
    GROUP BY 1 ORDER BY 1
"""


async def find_unused_accounts(tx: Session, before: datetime, *, limit: int) -> tuple[int, list[UnusedAccount]]:
    """How many enabled accounts nobody has signed in to since, and those unused for longest."""
    connection = await driver_connection(tx)
    cursor = await connection.execute(_FIND_UNUSED_ACCOUNTS, {"before": before, "shown": limit})
    rows = await cursor.fetchall()
    return (rows[0][-1] if rows else 0), [UnusedAccount(*row[:-1]) for row in rows]


async def list_living_api_keys(tx: Session, now: datetime, *, limit: int) -> list[LivingApiKey]:
    """The API keys that work, the oldest first."""
    query = (
        select(ApiKey.name, ApiKey.prefix, Organization.name, ApiKey.created_at, ApiKey.expires_at, ApiKey.last_used_at)
        .outerjoin(Organization, Organization.id == ApiKey.organization_id)
        .where(ApiKey.revoked_at.is_(None), (ApiKey.expires_at.is_(None)) | (ApiKey.expires_at > now))
        .order_by(ApiKey.created_at, ApiKey.id)
        .limit(limit)
    )
    return [LivingApiKey(*row) for row in await tx.execute(query)]


async def list_password_operators(tx: Session) -> list[tuple[str, bool]]:
    """The e-mail address of each enabled operator with a password, and whether a second factor protects it."""
    query = select(User.email, User.totp_confirmed_at).where(
        User.role == Role.OPERATOR, User.disabled_at.is_(None), User.password_hash.is_not(None)
    )
    return [(email, confirmed_at is not None) for email, confirmed_at in await tx.execute(query.order_by(User.email))]


async def count_installation(tx: Session) -> Installed:
    """What there is in the whole installation."""
    cursor = await (await driver_connection(tx)).execute(_COUNT_INSTALLATION)
    row = await cursor.fetchone()
    assert row is not None, "counts are always one row"
    return Installed(*row)


async def sum_validations(tx: Session, since: datetime, until: datetime) -> list[ValidationVolume]:
    """The validations of each day in UTC, and how many of them were refused; raises WindowTooLarge."""
    connection = await driver_connection(tx)
    try:
        cursor = await connection.execute(_SUM_VALIDATIONS, {"since": since, "until": until})
        return [ValidationVolume(*row) for row in await cursor.fetchall()]
    except pg.QueryCanceled as error:
        raise WindowTooLarge from error
