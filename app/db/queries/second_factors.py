"""Queries over recovery codes, which stand in for a second factor."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, func, select, update

from app.db.models import RecoveryCode
from app.db.session import Session


async def take_recovery_code(tx: Session, user_id: UUID, code_hash: bytes, now: datetime) -> bool:
    """Use up the user's recovery code; False when there is none like this. Of two askers at once one gets it."""
    query = (
        update(RecoveryCode)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.code_hash == code_hash, RecoveryCode.used_at.is_(None))
        .values(used_at=now)
        .returning(RecoveryCode.id)
    )
    return await tx.scalar(query) is not None


async def count_recovery_codes(tx: Session, user_id: UUID) -> int:
    """How many of the user's recovery codes are left."""
    query = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return await tx.scalar(query) or 0


async def replace_recovery_codes(tx: Session, user_id: UUID, code_hashes: Iterable[bytes], now: datetime) -> None:
    """Forget the user's recovery codes, used ones too, and keep these."""
    await tx.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    tx.add_all(RecoveryCode(user_id=user_id, code_hash=code_hash, created_at=now) for code_hash in code_hashes)
    await tx.flush()
