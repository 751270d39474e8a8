"""What a license is and when it may be used: a pure table of refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from app.domain.errors import InvalidPeriod, LicenseStateConflict, TooManyProducts
from app.domain.machines import MachineBinding, has_free_seat


class LicenseStatus(StrEnum):
    """What an operator decided about a license; expiry is not a status but a date."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"


class ValidationCode(StrEnum):
    """The outcome of a validation, in the order in which refusals are looked for."""

    NOT_FOUND = "NOT_FOUND"
    ORGANIZATION_SUSPENDED = "ORGANIZATION_SUSPENDED"
    REVOKED = "REVOKED"
    SUSPENDED = "SUSPENDED"
    NOT_STARTED = "NOT_STARTED"
    TRIAL_EXPIRED = "TRIAL_EXPIRED"
    EXPIRED = "EXPIRED"
    PRODUCT_SCOPE_MISMATCH = "PRODUCT_SCOPE_MISMATCH"
    ENTITLEMENTS_MISSING = "ENTITLEMENTS_MISSING"
    FINGERPRINT_SCOPE_REQUIRED = "FINGERPRINT_SCOPE_REQUIRED"
    NO_MACHINE = "NO_MACHINE"
    TOO_MANY_MACHINES = "TOO_MANY_MACHINES"
    VALID = "VALID"


REASONS: Mapping[ValidationCode, str | None] = {
    ValidationCode.NOT_FOUND: "Invalid license key",
    ValidationCode.ORGANIZATION_SUSPENDED: "Organization is suspended",
    ValidationCode.REVOKED: "License is cancelled",
    ValidationCode.SUSPENDED: "License is suspended",
    ValidationCode.NOT_STARTED: "License is not valid yet",
    ValidationCode.TRIAL_EXPIRED: "Trial period expired",
    ValidationCode.EXPIRED: "License expired",
    ValidationCode.PRODUCT_SCOPE_MISMATCH: "Product not included in license",
    ValidationCode.ENTITLEMENTS_MISSING: "Feature not included in license",
    ValidationCode.FINGERPRINT_SCOPE_REQUIRED: "A machine id is required",
    ValidationCode.NO_MACHINE: "Machine is not activated",
    ValidationCode.TOO_MANY_MACHINES: "Maximum number of machines exceeded",
    ValidationCode.VALID: None,
}


@dataclass(frozen=True, slots=True)
class ValidationQuestion:
    """May this license be used, for this product, on this machine, with these features?"""

    license_key_hash: bytes
    product_id: str | None = None
    fingerprint_hash: bytes | None = None
    entitlements: tuple[str, ...] = ()
    ip: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class LicenseFacts:
    """All that is known about a license at the moment of a validation."""

    license_id: UUID
    organization_name: str
    is_organization_suspended: bool
    tier: str
    status: LicenseStatus
    max_users: int | None
    max_products: int | None
    max_machines: int | None
    products: tuple[str, ...]
    features: Mapping[str, object]
    starts_at: datetime | None
    expires_at: datetime | None
    is_trial: bool
    trial_ends_at: datetime | None
    machine_binding: MachineBinding
    is_machine_known: bool
    seats_taken: int


@dataclass(frozen=True, slots=True)
class LicenseFilter:
    """Which licenses a list shows; None means any."""

    organization_id: UUID | None = None
    status: LicenseStatus | None = None
    tier: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a validation; `wants_seat` says that it holds once the machine has taken a free seat."""

    code: ValidationCode
    license: LicenseFacts | None
    wants_seat: bool = False

    @property
    def is_valid(self) -> bool:
        """Whether the license may be used."""
        return self.code is ValidationCode.VALID

    @property
    def reason(self) -> str | None:
        """The sentence that clients show to people."""
        return REASONS[self.code]


def judge(question: ValidationQuestion, facts: LicenseFacts | None, now: datetime) -> Verdict:
    """The first refusal that applies, or VALID."""
    if facts is None:
        return Verdict(ValidationCode.NOT_FOUND, None)

    refusal = _refuse_license(facts, now) or _refuse_scope(question, facts)
    if refusal is not None:
        return Verdict(refusal, facts)

    return _judge_machine(question, facts)


def _refuse_license(facts: LicenseFacts, now: datetime) -> ValidationCode | None:
    if facts.is_organization_suspended:
        return ValidationCode.ORGANIZATION_SUSPENDED
    if facts.status is LicenseStatus.REVOKED:
        return ValidationCode.REVOKED
    if facts.status is LicenseStatus.SUSPENDED:
        return ValidationCode.SUSPENDED
    if facts.starts_at is not None and now < facts.starts_at:
        return ValidationCode.NOT_STARTED
    if facts.is_trial and facts.trial_ends_at is not None and facts.trial_ends_at <= now:
        return ValidationCode.TRIAL_EXPIRED
    if facts.expires_at is not None and facts.expires_at <= now:
        return ValidationCode.EXPIRED
    return None


def _refuse_scope(question: ValidationQuestion, facts: LicenseFacts) -> ValidationCode | None:
    if question.product_id is not None and question.product_id not in facts.products:
        return ValidationCode.PRODUCT_SCOPE_MISMATCH
    if not all(facts.features.get(entitlement) for entitlement in question.entitlements):
        return ValidationCode.ENTITLEMENTS_MISSING
    return None


def _judge_machine(question: ValidationQuestion, facts: LicenseFacts) -> Verdict:
    valid = Verdict(ValidationCode.VALID, facts)
    if facts.machine_binding is MachineBinding.NONE or facts.is_machine_known:
        return valid
    if facts.machine_binding is MachineBinding.EXPLICIT:
        code = ValidationCode.NO_MACHINE if question.fingerprint_hash else ValidationCode.FINGERPRINT_SCOPE_REQUIRED
        return Verdict(code, facts)
    if question.fingerprint_hash is None:
        return valid
    if has_free_seat(limit=facts.max_machines, taken=facts.seats_taken):
        return Verdict(ValidationCode.VALID, facts, wants_seat=True)
    return Verdict(ValidationCode.TOO_MANY_MACHINES, facts)


def trial_length(starts_at: datetime, trial_ends_at: datetime | None) -> timedelta | None:
    """How long a trial lasts; None for a license that is no trial."""
    return None if trial_ends_at is None else trial_ends_at - starts_at


def require_status(status: LicenseStatus, allowed: tuple[LicenseStatus, ...], wish: str) -> None:
    """Raise LicenseStateConflict unless the license has one of the allowed statuses."""
    if status not in allowed:
        names = " or ".join(allowed)
        raise LicenseStateConflict(f"Only a license that is {names} can be {wish}; this one is {status}.")


def require_period(starts_at: datetime | None, ends_at: datetime | None) -> None:
    """Raise InvalidPeriod when a license would end before it starts."""
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise InvalidPeriod


def require_product_count(products: Sequence[str] | None, limit: int | None) -> None:
    """Raise TooManyProducts when more products are allowed than the limit; None means all of them, and no limit."""
    if products is None and limit is not None:
        raise TooManyProducts(f"`allowedProducts` null means every product, but `maxProducts` is {limit}.")
    if products is not None and limit is not None and len(products) > limit:
        raise TooManyProducts(f"`allowedProducts` names {len(products)} products, but `maxProducts` is {limit}.")
