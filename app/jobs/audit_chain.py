"""Jobs over the audit trail: sealing what was recorded, and telling where the chain ends."""

from __future__ import annotations

import logging

from app.domain.audit_chain import AuditKeyMissing
from app.domain.errors import EncryptionKeyMissing
from app.ops import audit_chain
from app.runtime import Runtime
from app.telemetry.logging import log

logger = logging.getLogger(__name__)


async def seal_audit_events(runtime: Runtime) -> None:
    """Link the events that wait; without the key of the chain they go on waiting, which is told once an hour."""
    try:
        await audit_chain.seal(runtime.database, runtime.vault, now=runtime.now())
    except (EncryptionKeyMissing, AuditKeyMissing) as error:
        if runtime.unsealed.is_due():
            reason = error.message
            log(logger, logging.ERROR, "The audit trail can't be sealed", event="audit_unsealed", reason=reason)


async def tell_audit_head(runtime: Runtime) -> None:
    """Write the end of the chain into the log, where whoever changes the database can't reach it."""
    head = await audit_chain.read_head(runtime.database)
    message = f"Audit trail sealed up to position {head.position}"
    log(logger, logging.INFO, message, event="audit_head", head=str(head))
