"""Outgoing mail: what is to be sent, kept until it was."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id


class OutgoingMail(Model):
    """A message (encrypted, as it may hold a token) that waits for the mail server; deleted when it was taken."""

    __tablename__ = "outgoing_mails"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    message_encrypted: Mapped[bytes]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    attempts: Mapped[int]

    __table_args__ = (Index("ix_outgoing_mails_next_attempt_at", "next_attempt_at"),)
