"""Validation events: one appended row for every answer that was given."""

from __future__ import annotations

from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model, new_id, one_of
from app.domain.licenses import ValidationCode


class ValidationEvent(Model):
    """An answer to a validation; append only, partitioned by time, and without a primary key in the database."""

    __tablename__ = "validation_events"

    id: Mapped[UUID] = mapped_column(default=new_id)
    occurred_at: Mapped[datetime]
    license_id: Mapped[UUID | None]
    code: Mapped[str]
    product_id: Mapped[str | None]
    fingerprint_hash: Mapped[bytes | None]
    ip: Mapped[IPv4Address | IPv6Address | None] = mapped_column(INET)
    request_id: Mapped[str | None]

    __table_args__ = (
        Index("ix_validation_events_license_id_occurred_at", "license_id", "occurred_at"),
        one_of("code", ValidationCode),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )
    __mapper_args__ = {"primary_key": ["id"]}  # noqa: RUF012 - SQLAlchemy's own protocol
