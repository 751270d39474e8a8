"""Queries over outgoing mail."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, update

from app.db.models import OutgoingMail
from app.db.session import Session


async def lock_due_mail(tx: Session, now: datetime) -> OutgoingMail | None:
    """The mail that is due for the longest time, locked until the transaction ends; locked ones are passed over."""
    query = (
        select(OutgoingMail)
        .where(OutgoingMail.next_attempt_at <= now)
        .order_by(OutgoingMail.next_attempt_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    mail: OutgoingMail | None = await tx.scalar(query)
    return mail


async def delete_mail(tx: Session, mail_id: UUID) -> None:
    """Forget a mail."""
    await tx.execute(delete(OutgoingMail).where(OutgoingMail.id == mail_id))


async def postpone_mail(tx: Session, mail_id: UUID, until: datetime) -> None:
    """Have a mail tried again, not before this moment."""
    await tx.execute(update(OutgoingMail).where(OutgoingMail.id == mail_id).values(next_attempt_at=until))
