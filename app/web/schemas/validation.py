"""Validation in JSON: the question that client programs ask, and the answer they get."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from app.domain.license_keys import MAX_LENGTH, hash_license_key
from app.domain.licenses import LicenseFacts, LicenseStatus, ValidationCode, ValidationQuestion, Verdict
from app.domain.machines import hash_fingerprint
from app.domain.words import require_printable
from app.web.schemas.base import Fingerprint, Out, OutMoment, Text


def _none_if_empty(given: object) -> object:
    return None if isinstance(given, str) and not given.strip() else given


TypedKey = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_LENGTH), AfterValidator(require_printable)
]
"""A license key as somebody typed it; an empty one is unknown, like any other that does not exist."""


class ValidateLicense(BaseModel):
    """May this license be used? Members that we do not know are ignored: older and newer clients ask alike."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    license_key: TypedKey
    product_id: Annotated[Text | None, BeforeValidator(_none_if_empty)] = None
    machine_id: Annotated[Fingerprint | None, BeforeValidator(_none_if_empty)] = None
    entitlements: Annotated[list[Text], Field(max_length=100), BeforeValidator(lambda given: given or [])] = Field(
        default_factory=list
    )

    def question(self, ip: str | None, request_id: str | None) -> ValidationQuestion:
        """The question as the rules know it."""
        return ValidationQuestion(
            license_key_hash=hash_license_key(self.license_key),
            product_id=self.product_id,
            fingerprint_hash=None if self.machine_id is None else hash_fingerprint(self.machine_id),
            entitlements=tuple(self.entitlements),
            ip=ip,
            request_id=request_id,
        )


class ValidatedLicenseOut(Out):
    """What a client learns about the license; it never holds a member named `key`."""

    id: UUID
    tier: str
    status: LicenseStatus
    organization: str
    max_users: int | None
    max_products: int | None
    max_machines: int | None
    allowed_products: list[str]
    products: list[str]
    features: dict[str, Any]
    expires_at: OutMoment | None
    is_trial: bool
    trial_ends_at: OutMoment | None


class VerdictOut(Out):
    """The answer; `reason` is a sentence for people and null when the license is valid."""

    valid: bool
    code: ValidationCode
    reason: str | None
    license: ValidatedLicenseOut | None

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictOut:
        """The answer to a verdict."""
        license = None if verdict.license is None else _license(verdict.license)
        return cls(valid=verdict.is_valid, code=verdict.code, reason=verdict.reason, license=license)


class ValidationEventOut(Out):
    """An answer that was given."""

    id: UUID
    occurred_at: OutMoment
    code: ValidationCode
    product_id: str | None
    ip: IPv4Address | IPv6Address | None
    request_id: str | None


def _license(facts: LicenseFacts) -> ValidatedLicenseOut:
    return ValidatedLicenseOut(
        id=facts.license_id,
        tier=facts.tier,
        status=facts.status,
        organization=facts.organization_name,
        max_users=facts.max_users,
        max_products=facts.max_products,
        max_machines=facts.max_machines,
        allowed_products=list(facts.products),
        products=list(facts.products),
        features=dict(facts.features),
        expires_at=facts.expires_at,
        is_trial=facts.is_trial,
        trial_ends_at=facts.trial_ends_at,
    )
