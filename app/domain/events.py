"""The names of what can happen to the things of the product."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.domain.words import camel_case


class EventName(StrEnum):
    """Something that was done, as it stands in the audit trail."""

    ORGANIZATION_CREATED = "organization.created"
    ORGANIZATION_CHANGED = "organization.changed"
    ORGANIZATION_SUSPENDED = "organization.suspended"
    ORGANIZATION_REINSTATED = "organization.reinstated"
    PRODUCT_CREATED = "product.created"
    PRODUCT_CHANGED = "product.changed"
    PLAN_CREATED = "plan.created"
    PLAN_CHANGED = "plan.changed"
    LICENSE_ISSUED = "license.issued"
    LICENSE_CHANGED = "license.changed"
    LICENSE_SUSPENDED = "license.suspended"
    LICENSE_REINSTATED = "license.reinstated"
    LICENSE_REVOKED = "license.revoked"
    LICENSE_RENEWED = "license.renewed"
    LICENSE_KEY_SHOWN = "license.key_shown"
    MACHINE_ACTIVATED = "machine.activated"
    MACHINE_DEACTIVATED = "machine.deactivated"
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_DELETED = "user.deleted"
    USER_PASSWORD_RESET = "user.password_reset"  # noqa: S105 - a name, not a password
    USER_PASSWORD_RESET_REQUESTED = "user.password_reset_requested"  # noqa: S105 - a name, not a password
    USER_PASSWORD_CHANGED = "user.password_changed"  # noqa: S105 - a name, not a password
    USER_SIGNED_IN = "user.signed_in"
    USER_SIGNED_OUT = "user.signed_out"
    USER_STEPPED_UP = "user.stepped_up"
    SESSION_REVOKED = "session.revoked"
    SECOND_FACTOR_SET_UP = "second_factor.set_up"
    SECOND_FACTOR_REMOVED = "second_factor.removed"
    RECOVERY_CODES_MADE = "recovery_codes.made"
    RECOVERY_CODE_USED = "recovery_code.used"
    IDENTITY_LINKED = "identity.linked"
    INVITATION_CREATED = "invitation.created"
    INVITATION_REVOKED = "invitation.revoked"
    INVITATION_ACCEPTED = "invitation.accepted"
    REGISTRATION_REQUESTED = "registration.requested"
    AUDIT_EXPORTED = "audit.exported"
    RUN_REQUESTED = "run.requested"
    RUN_CANCEL_REQUESTED = "run.cancel_requested"
    RUN_FINISHED = "run.finished"
    LEGAL_HOLD_PLACED = "legal_hold.placed"
    LEGAL_HOLD_RELEASED = "legal_hold.released"
    SCHEDULE_CREATED = "schedule.created"
    SCHEDULE_CHANGED = "schedule.changed"
    SCHEDULE_DELETED = "schedule.deleted"
    BACKUP_STORED = "backup.stored"
    BACKUP_FAILED = "backup.failed"
    BACKUP_VERIFIED = "backup.verified"
    BACKUP_DAMAGED = "backup.damaged"
    BACKUP_PINNED = "backup.pinned"
    BACKUP_UNPINNED = "backup.unpinned"
    BACKUP_DELETED = "backup.deleted"
    BACKUP_REPORTED = "backup.reported"
    BACKUP_FOUND = "backup.found"
    BACKUP_DOWNLOADED = "backup.downloaded"
    DATABASE_RESTORED = "database.restored"
    DATABASE_ROLLED_BACK = "database.rolled_back"
    DATABASE_DISCARDED = "database.discarded"
    CONFIGURATION_BACKED_UP = "configuration.backed_up"


def describe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What was changed, from what, to what, as it stands in the audit trail: JSON, with the names that requests use."""
    return {
        "changed": sorted(camel_case(name) for name in after),
        "before": {camel_case(name): _as_json(before[name]) for name in after},
        "after": {camel_case(name): _as_json(value) for name, value in after.items()},
    }


def describe_creation(after: Mapping[str, Any]) -> dict[str, Any]:
    """What something new was made as, as it stands in the audit trail; what was left out is left out."""
    return {"after": {camel_case(name): _as_json(value) for name, value in after.items() if value is not None}}


def describe_deletion(before: Mapping[str, Any]) -> dict[str, Any]:
    """What something was when it was deleted, as it stands in the audit trail."""
    return {"before": {camel_case(name): _as_json(value) for name, value in before.items()}}


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
