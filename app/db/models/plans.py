"""Plans: the terms that licenses are issued under."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Identified, Model, one_of
from app.domain.machines import MachineBinding


class Plan(Identified, Model):
    """Terms of a license; None means no limit, and `max_products` None also means every product there is.

    Each tier has one default plan, which is used when a license is issued by its tier alone.
    """

    __tablename__ = "plans"

    name: Mapped[str] = mapped_column(unique=True)
    tier: Mapped[str]
    is_tier_default: Mapped[bool] = mapped_column(server_default=text("false"))
    max_users: Mapped[int | None]
    max_products: Mapped[int | None]
    max_machines: Mapped[int | None]
    max_api_calls_per_day: Mapped[int | None] = mapped_column(BigInteger)
    max_storage_bytes: Mapped[int | None] = mapped_column(BigInteger)
    features: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    trial_days: Mapped[int | None]
    machine_binding: Mapped[str] = mapped_column(server_default=MachineBinding.AUTOMATIC)

    __table_args__ = (
        Index("uq_plans_tier_default", "tier", unique=True, postgresql_where=text("is_tier_default")),
        one_of("machine_binding", MachineBinding),
    )
