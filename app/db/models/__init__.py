"""All tables; importing this package makes `Model.metadata` complete."""

from app.db.models.api_keys import ApiKey
from app.db.models.audit_events import AuditEvent
from app.db.models.base import Model
from app.db.models.idempotency_keys import IdempotencyKey
from app.db.models.licenses import License
from app.db.models.machines import Machine
from app.db.models.organizations import Organization
from app.db.models.plans import Plan
from app.db.models.products import Product
from app.db.models.users import LoginSession, User
from app.db.models.validation_events import ValidationEvent

__all__ = [
    "ApiKey",
    "AuditEvent",
    "IdempotencyKey",
    "License",
    "LoginSession",
    "Machine",
    "Model",
    "Organization",
    "Plan",
    "Product",
    "User",
    "ValidationEvent",
]
