"""Plans in JSON."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from app.domain.machines import MachineBinding
from app.web.schemas.base import BigLimit, Features, Limit, Out, OutMoment, Text, TierName, Wish


class Terms(Wish):
    """What a plan grants; a limit that is null is no limit."""

    max_users: Limit | None = None
    max_products: Limit | None = None
    max_machines: Limit | None = None
    max_api_calls_per_day: BigLimit | None = None
    max_storage_bytes: BigLimit | None = None
    features: Features = Field(default_factory=dict)
    trial_days: Limit | None = Field(default=None, ge=1, le=3650)
    machine_binding: MachineBinding = MachineBinding.AUTOMATIC


class CreatePlan(Terms):
    """A new plan; a limit that is left out is no limit."""

    name: Text
    tier: TierName


class ChangePlan(Terms):
    """What to change for licenses issued from now on; members that are left out stay as they are."""

    name: Text = Field(default="")


class PlanOut(Out):
    """Terms; null means no limit."""

    id: UUID
    name: str
    tier: str
    is_tier_default: bool
    max_users: int | None
    max_products: int | None
    max_machines: int | None
    max_api_calls_per_day: int | None
    max_storage_bytes: int | None
    features: dict[str, Any]
    trial_days: int | None
    machine_binding: MachineBinding
    created_at: OutMoment
    updated_at: OutMoment
