"""Security events, counted by the minute: what the summary adds up."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id


class SecurityEventCount(Model):
    """How often one kind of event was seen in a minute, by address, account and license; append only."""

    __tablename__ = "security_event_counts"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    minute: Mapped[datetime]
    event: Mapped[str]
    address: Mapped[str | None]
    account: Mapped[str | None]
    license_id: Mapped[UUID | None]
    count: Mapped[int]

    __table_args__ = (Index("ix_security_event_counts_minute", "minute"),)
