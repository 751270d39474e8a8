"""Licenses in JSON."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StrictBool, StringConstraints, model_validator

from app.domain.license_keys import MAX_LENGTH
from app.domain.licenses import LicenseStatus
from app.domain.machines import MachineBinding
from app.web.schemas.base import Features, Limit, Moment, Out, OutMoment, Slug, Text, TierName, Wish

AllowedProducts = Annotated[list[Slug], Field(max_length=1000)]
ImportedKey = Annotated[Text, StringConstraints(min_length=8, max_length=MAX_LENGTH)]


class IssueLicense(Wish):
    """A new license under the terms of a tier or plan; a limit that is given overrides the plan's, null is no limit."""

    organization_id: UUID
    tier: TierName | None = None
    plan_id: UUID | None = None
    max_users: Limit | None = None
    max_products: Limit | None = None
    max_machines: Limit | None = None
    allowed_products: AllowedProducts | None = None
    features: Features | None = None
    machine_binding: MachineBinding | None = None
    starts_at: Moment | None = None
    expires_at: Moment | None = None
    is_trial: StrictBool | None = None
    license_key: ImportedKey | None = None

    @model_validator(mode="after")
    def _one_of_tier_and_plan(self) -> IssueLicense:
        if (self.tier is None) == (self.plan_id is None):
            raise ValueError("exactly one of `tier` and `planId` must be given")
        return self


class ChangeLicense(Wish):
    """What to change; members that are left out stay as they are, null means no limit, every product, or no date."""

    max_users: Limit | None = None
    max_products: Limit | None = None
    max_machines: Limit | None = None
    allowed_products: AllowedProducts | None = None
    features: Features = Field(default_factory=dict)
    machine_binding: MachineBinding = MachineBinding.AUTOMATIC
    starts_at: Moment | None = None
    expires_at: Moment | None = None


class RenewLicense(Wish):
    """The new end of a license; null is no end."""

    expires_at: Moment | None


class LicenseOut(Out):
    """A license; `allowedProducts` null means every product there is."""

    id: UUID
    organization_id: UUID
    plan_id: UUID
    tier: str
    status: LicenseStatus
    max_users: int | None
    max_products: int | None
    max_machines: int | None
    allowed_products: list[str] | None
    features: dict[str, Any]
    machine_binding: MachineBinding
    starts_at: OutMoment | None
    expires_at: OutMoment | None
    is_trial: bool
    trial_ends_at: OutMoment | None
    created_at: OutMoment
    updated_at: OutMoment


class IssuedLicenseOut(LicenseOut):
    """A license with its license key."""

    license_key: str


class LicenseKeyOut(Out):
    """A license key, shown again."""

    license_key: str
