"""All tables; importing this package makes `Model.metadata` complete."""

from app.db.models.api_keys import ApiKey
from app.db.models.archives import Archive
from app.db.models.audit_events import AuditBase, AuditEvent, AuditLink, UnsealedAuditEvent
from app.db.models.backups import Backup
from app.db.models.base import Model
from app.db.models.error_groups import ErrorGroupCount
from app.db.models.idempotency_keys import IdempotencyKey
from app.db.models.installation_secrets import InstallationSecret
from app.db.models.invitations import Invitation
from app.db.models.legal_holds import LegalHold
from app.db.models.licenses import License
from app.db.models.machines import Machine
from app.db.models.organizations import Organization
from app.db.models.outgoing_mails import OutgoingMail
from app.db.models.plans import Plan
from app.db.models.products import Product
from app.db.models.registrations import Registration
from app.db.models.runs import Run
from app.db.models.samples import SizeSample, StatementSample
from app.db.models.schedules import Schedule
from app.db.models.security_event_counts import SecurityEventCount
from app.db.models.users import Identity, LoginSession, PasswordReset, RecoveryCode, User, UserAddress
from app.db.models.validation_events import ValidationEvent

__all__ = [
    "ApiKey",
    "Archive",
    "AuditBase",
    "AuditEvent",
    "AuditLink",
    "Backup",
    "ErrorGroupCount",
    "IdempotencyKey",
    "Identity",
    "InstallationSecret",
    "Invitation",
    "LegalHold",
    "License",
    "LoginSession",
    "Machine",
    "Model",
    "Organization",
    "OutgoingMail",
    "PasswordReset",
    "Plan",
    "Product",
    "RecoveryCode",
    "Registration",
    "Run",
    "Schedule",
    "SecurityEventCount",
    "SizeSample",
    "StatementSample",
    "UnsealedAuditEvent",
    "User",
    "UserAddress",
    "ValidationEvent",
]
