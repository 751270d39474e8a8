"""Error lines, counted by the hour: what reports and the list of errors add up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model


class ErrorGroupCount(Model):
    """How often errors that are alike were logged in an hour, by all servers together."""

    __tablename__ = "error_groups"

    hour: Mapped[datetime] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    event: Mapped[str]
    exception: Mapped[str | None]
    place: Mapped[str]
    count: Mapped[int] = mapped_column(BigInteger)
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
