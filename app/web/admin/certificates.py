"""Certificates of the hosts that are watched, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from app.ops.certificates import read_certificates
from app.web.deps import Now, Runtime
from app.web.schemas.certificates import CertificatesOut
from app.web.security import Administration, CanReadOperations

router = APIRouter(prefix="/admin/certificates", tags=["administration"], dependencies=[Administration])


@router.get("")
async def show_certificates(caller: CanReadOperations, runtime: Runtime, now: Now) -> CertificatesOut:
    """Look at the TLS certificates of TLS_PROBE_HOSTS now."""
    return CertificatesOut.of(await read_certificates(runtime.settings.tls_probe_hosts), now)
