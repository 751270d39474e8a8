"""Licenses."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Identified, Model, one_of
from app.domain.licenses import LicenseStatus
from app.domain.machines import MachineBinding


class License(Identified, Model):
    """The right of an organization to use products; limits of None mean no limit.

    `allowed_products` None means every product there is. The license key is found by its SHA-256 and kept
    encrypted, so that an operator can show it again.
    """

    __tablename__ = "licenses"

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    plan_id: Mapped[UUID] = mapped_column(ForeignKey("plans.id"))
    tier: Mapped[str]
    status: Mapped[str] = mapped_column(server_default=LicenseStatus.ACTIVE)
    license_key_hash: Mapped[bytes] = mapped_column(unique=True)
    license_key_encrypted: Mapped[bytes]
    max_users: Mapped[int | None]
    max_products: Mapped[int | None]
    max_machines: Mapped[int | None]
    allowed_products: Mapped[list[str] | None]
    features: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    machine_binding: Mapped[str] = mapped_column(server_default=MachineBinding.AUTOMATIC)
    starts_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    is_trial: Mapped[bool] = mapped_column(server_default=text("false"))
    trial_ends_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_licenses_organization_id", "organization_id"),
        Index("ix_licenses_plan_id", "plan_id"),
        one_of("status", LicenseStatus),
        one_of("machine_binding", MachineBinding),
    )
