"""What one database leaves to another that takes its place: read as documents, and written from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, any_, bindparam, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID

from app.db.models import (
    ApiKey,
    Backup,
    IdempotencyKey,
    Invitation,
    License,
    LoginSession,
    Organization,
    OutgoingMail,
    PasswordReset,
    Run,
    Schedule,
    User,
)
from app.db.session import Session
from app.domain.backups import BackupStatus
from app.domain.licenses import LicenseStatus
from app.domain.runs import UNDER_WAY, RunStatus

Document = Mapping[str, Any]

_ROWS = bindparam("rows", type_=JSONB)
_PUT_RUNS = text("INSERT INTO runs SELECT * FROM jsonb_populate_recordset(NULL::runs, :rows)").bindparams(_ROWS)
_PUT_BACKUPS = text("INSERT INTO backups SELECT * FROM jsonb_populate_recordset(NULL::backups, :rows)").bindparams(
    _ROWS
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a person signs in with, and may do then."""

    role: str
    organization_id: UUID | None
    password_hash: str | None
    totp_confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Legacy:
    """Rows of `backups` and `runs` as documents; when API keys were revoked or end, people were disabled, and
    invitations withdrawn; which licenses and organizations are not active.

    `api_keys` and `users` are all that there are: others were deleted.
    """

    backups: Sequence[Document]
    runs: Sequence[Document]
    revoked: Mapping[UUID, datetime]
    ending: Mapping[UUID, datetime]
    disabled: Mapping[UUID, datetime]
    withdrawn: Mapping[UUID, datetime]
    api_keys: frozenset[UUID]
    users: Mapping[UUID, Access]
    closed_licenses: Sequence[UUID]
    suspended_organizations: Sequence[UUID]


async def list_under_way(tx: Session) -> Sequence[UUID]:
    """The runs that were under way when this was the live database, or when it was backed up."""
    return (await tx.scalars(select(Run.id).where(Run.status.in_(UNDER_WAY)))).all()


async def read_legacy(tx: Session, run_ids: Sequence[UUID]) -> Legacy:
    """What the database that goes leaves; of runs, these and all that are under way in it."""
    keys = (await tx.execute(select(ApiKey.id, ApiKey.revoked_at, ApiKey.expires_at))).all()
    disabled = await tx.execute(select(User.id, User.disabled_at).where(User.disabled_at.is_not(None)))
    withdrawn = await tx.execute(select(Invitation.id, Invitation.revoked_at).where(Invitation.revoked_at.is_not(None)))
    runs = text("SELECT to_jsonb(one) FROM runs AS one WHERE id = ANY (:ids) OR status = ANY (:under_way)")
    closed = select(License.id).where(License.status != LicenseStatus.ACTIVE)
    suspended = select(Organization.id).where(Organization.suspended_at.is_not(None))
    return Legacy(
        backups=(await tx.scalars(text("SELECT to_jsonb(one) FROM backups AS one"))).all(),
        runs=(await tx.scalars(runs, {"ids": list(run_ids), "under_way": [str(one) for one in UNDER_WAY]})).all(),
        revoked={key.id: key.revoked_at for key in keys if key.revoked_at is not None},
        ending={key.id: key.expires_at for key in keys if key.expires_at is not None},
        disabled={user_id: at for user_id, at in disabled.all() if at is not None},
        withdrawn={invitation_id: at for invitation_id, at in withdrawn.all() if at is not None},
        api_keys=frozenset(key.id for key in keys),
        users=await _read_access(tx),
        closed_licenses=(await tx.scalars(closed)).all(),
        suspended_organizations=(await tx.scalars(suspended)).all(),
    )


async def settle_runs(tx: Session, reason: str, *, now: datetime) -> None:
    """Declare all runs under way lost: their owners were of another database."""
    settled = update(Run).where(Run.status.in_(UNDER_WAY))
    await tx.execute(settled.values(status=RunStatus.LOST, finished_at=now, failure=reason))


async def end_well(tx: Session, run_id: UUID, *, at: datetime) -> None:
    """Declare the run that made the backup a success: it was under way in its own backup, and the backup is here."""
    ended = update(Run).where(Run.id == run_id, Run.status == RunStatus.LOST)
    await tx.execute(ended.values(status=RunStatus.SUCCEEDED, finished_at=at, failure=None))


async def settle_backups(tx: Session, reason: str, *, now: datetime) -> None:
    """Declare all backups that were being made failed."""
    settled = update(Backup).where(Backup.status == BackupStatus.RUNNING)
    await tx.execute(settled.values(status=BackupStatus.FAILED, finished_at=now, failure=reason))


async def put_runs(tx: Session, documents: Sequence[Document]) -> None:
    """Write runs as they were read, over those with the same ids."""
    await tx.execute(delete(Run).where(Run.id.in_([UUID(one["id"]) for one in documents])))
    await tx.execute(_PUT_RUNS, {"rows": list(documents)})


async def put_backups(tx: Session, documents: Sequence[Document]) -> None:
    """Write backups as they were read, over those with the same ids."""
    await tx.execute(delete(Backup).where(Backup.id.in_([UUID(one["id"]) for one in documents])))
    await tx.execute(_PUT_BACKUPS, {"rows": list(documents)})


async def keep_revoked(tx: Session, revoked: Mapping[UUID, datetime]) -> int:
    """Revoke these API keys as of then; how many were not revoked here."""
    changed = 0
    for key_id, at in revoked.items():
        done = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=at)
        changed += len((await tx.scalars(done.returning(ApiKey.id))).all())
    return changed


async def keep_disabled(tx: Session, disabled: Mapping[UUID, datetime]) -> int:
    """Disable these people as of then; how many were not disabled here."""
    changed = 0
    for user_id, at in disabled.items():
        done = update(User).where(User.id == user_id, User.disabled_at.is_(None)).values(disabled_at=at)
        changed += len((await tx.scalars(done.returning(User.id))).all())
    return changed


async def keep_ending(tx: Session, ending: Mapping[UUID, datetime]) -> int:
    """Let these API keys end as early as there; how many would have lived longer here, as replaced ones would."""
    changed = 0
    for key_id, at in ending.items():
        is_longer = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > at)
        done = update(ApiKey).where(ApiKey.id == key_id, is_longer).values(expires_at=at)
        changed += len((await tx.scalars(done.returning(ApiKey.id))).all())
    return changed


async def keep_withdrawn(tx: Session, withdrawn: Mapping[UUID, datetime]) -> int:
    """Withdraw these invitations as of then; how many were open here."""
    changed = 0
    for invitation_id, at in withdrawn.items():
        is_open = Invitation.revoked_at.is_(None)
        done = update(Invitation).where(Invitation.id == invitation_id, is_open).values(revoked_at=at)
        changed += len((await tx.scalars(done.returning(Invitation.id))).all())
    return changed


async def list_reopened_licenses(tx: Session, legacy: Legacy) -> Sequence[UUID]:
    """Which licenses are active here, and were revoked or suspended there."""
    closed = bindparam("closed", list(legacy.closed_licenses), type_=ARRAY(PG_UUID()))
    is_active = License.status == LicenseStatus.ACTIVE
    return (
        await tx.scalars(select(License.id).where(License.id == any_(closed), is_active).order_by(License.id))
    ).all()


async def list_reopened_organizations(tx: Session, legacy: Legacy) -> Sequence[UUID]:
    """Which organizations are not suspended here, and were there."""
    suspended = bindparam("suspended", list(legacy.suspended_organizations), type_=ARRAY(PG_UUID()))
    here = select(Organization.id).where(Organization.id == any_(suspended), Organization.suspended_at.is_(None))
    return (await tx.scalars(here.order_by(Organization.id))).all()


async def list_earlier_access(tx: Session, legacy: Legacy) -> Sequence[UUID]:
    """Who has another password, second factor, role or place here than there."""
    here = await _read_access(tx)
    return sorted(one for one, access in legacy.users.items() if one in here and here[one] != access)


async def count_returned(tx: Session, legacy: Legacy) -> tuple[int, int]:
    """How many usable API keys and people are here that were deleted there."""
    keys = select(func.count()).where(ApiKey.revoked_at.is_(None), ApiKey.id.not_in(legacy.api_keys))
    users = select(func.count()).where(User.disabled_at.is_(None), User.id.not_in(list(legacy.users)))
    return await tx.scalar(keys) or 0, await tx.scalar(users) or 0


async def end_promises(tx: Session) -> None:
    """End all sessions and tokens for passwords, and forget mails that waited and answers kept for repetition.

    They are of another time: the mails were sent, the sessions may have been ended since.
    """
    for model in (LoginSession, PasswordReset, OutgoingMail, IdempotencyKey):
        await tx.execute(delete(model))


async def plan_schedules_anew(tx: Session) -> None:
    """Let every schedule wait for its next slot; what it missed since stays undone."""
    await tx.execute(update(Schedule).values(next_run_at=None, planned_at=None, waiting_since=None))


async def _read_access(tx: Session) -> Mapping[UUID, Access]:
    people = await tx.execute(
        select(User.id, User.role, User.organization_id, User.password_hash, User.totp_confirmed_at)
    )
    return {
        one.id: Access(one.role, one.organization_id, one.password_hash, one.totp_confirmed_at) for one in people.all()
    }
