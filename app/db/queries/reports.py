"""Queries of reports, over all tenants: only callers of the installation ask for them."""

from __future__ import annotations

from datetime import datetime

from psycopg import errors as pg
from sqlalchemy import func, select

from app.db.models import ApiKey, Organization, Run, User
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.access_review import LivingApiKey, UnusedAccount
from app.domain.capacity import Installed, ValidationVolume
from app.domain.errors import WindowTooLarge
from app.domain.permissions import Role
from app.domain.run_evidence import EndedRun, RunEvidence
from app.domain.runs import RunKind, RunStatus

_FIND_UNUSED_ACCOUNTS = read_sql("find_unused_accounts")
_COUNT_INSTALLATION = read_sql("count_installation")
_SUM_VALIDATIONS = """
    SELECT (occurred_at AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (WHERE code <> 'VALID')
    FROM validation_events
    WHERE occurred_at >= %(since)s AND occurred_at < %(until)s
    GROUP BY 1 ORDER BY 1
"""
_SUCCEEDED = (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_WARNINGS)


async def find_run_evidence(tx: Session, kind: RunKind, *, limit: int) -> RunEvidence:
    """The last runs of a kind that have ended, and when one succeeded last."""
    ended = select(Run).where(Run.kind == kind, Run.finished_at.is_not(None)).order_by(Run.id.desc())
    rows = await tx.scalars(ended.limit(limit))
    success = select(func.max(Run.finished_at)).where(Run.kind == kind, Run.status.in_(_SUCCEEDED))
    runs = tuple(
        EndedRun(row.status, row.trigger, row.finished_at, len(row.warnings), row.failure)
        for row in rows
        if row.finished_at is not None
    )
    return RunEvidence(kind, runs, await tx.scalar(success))


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
    """What there is in the whole installation, and how full the server of the database is."""
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
