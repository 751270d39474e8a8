"""Outgoing mail: claimed by one process, sent outside of any transaction, then forgotten or tried again later."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from app.db.models import OutgoingMail
from app.db.queries import outgoing_mails
from app.db.session import Session
from app.domain.mails import pause_after

LEASE = timedelta(minutes=2)
"""Longer than sending may take; a mail whose process has died meanwhile is sent by another one."""


async def claim(tx: Session, *, now: datetime) -> OutgoingMail | None:
    """The mail that is due for the longest time; nobody else gets it before the lease ends."""
    mail = await outgoing_mails.lock_due_mail(tx, now)
    if mail is None:
        return None

    mail.attempts += 1
    mail.next_attempt_at = now + LEASE
    return mail


async def forget(tx: Session, mail_id: UUID) -> None:
    """It was sent, or never will be."""
    await outgoing_mails.delete_mail(tx, mail_id)


async def postpone(tx: Session, mail: OutgoingMail, *, now: datetime) -> None:
    """Try it again later, the later the more often it was tried."""
    await outgoing_mails.postpone_mail(tx, mail.id, now + pause_after(mail.attempts))
