"""Organizations: the customers that licenses are issued to."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Identified, Model


class Organization(Identified, Model):
    """A customer; while `suspended_at` is set none of its licenses is valid."""

    __tablename__ = "organizations"

    name: Mapped[str]
    domain: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str]
    phone: Mapped[str | None]
    address: Mapped[str | None]
    country: Mapped[str | None]
    suspended_at: Mapped[datetime | None]
