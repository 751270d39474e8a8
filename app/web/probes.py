"""Probes for uptime services, Kubernetes and Prometheus: asynchronous, bounded, never rate limited."""

from __future__ import annotations

import hmac
from datetime import UTC

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app import __version__
from app.domain.errors import Unauthenticated
from app.ops import health
from app.telemetry import metrics
from app.web.deps import Runtime

router = APIRouter(tags=["probes"])


@router.head("/health")
@router.get("/health")
async def show_health(runtime: Runtime) -> Response:
    """Healthy (200) or unhealthy (503), within a second even when the database hangs."""
    is_connected = await health.is_database_connected(runtime.probe_lane)
    now = runtime.now().astimezone(UTC)
    body = {
        "status": "healthy" if is_connected else "unhealthy",
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "uptime": runtime.uptime_seconds(),
        "database": "connected" if is_connected else "disconnected",
        "version": __version__,
    }
    return JSONResponse(body, 200 if is_connected else 503)


@router.head("/livez")
@router.get("/livez")
async def show_liveness() -> Response:
    """The process runs; it looks at nothing else, so a database that is away restarts nobody."""
    return JSONResponse({"status": "alive"})


@router.head("/readyz")
@router.get("/readyz")
async def show_readiness(runtime: Runtime) -> Response:
    """Ready for traffic, or 503 with the checks that failed."""
    readiness = await health.check_readiness(
        runtime.probe_lane, head_revision=runtime.head_revision, is_draining=runtime.is_draining
    )
    if readiness.is_ready:
        return JSONResponse({"status": "ready"})
    return JSONResponse({"status": "not ready", "failed": readiness.failed}, 503)


@router.get("/metrics")
async def show_metrics(request: Request, runtime: Runtime) -> Response:
    """Prometheus text; with METRICS_TOKEN set, only for who sends it as a bearer token."""
    token = runtime.settings.metrics_token
    if token is not None and not _is_token(request.headers.get("authorization", ""), token.get_secret_value()):
        raise Unauthenticated("Send METRICS_TOKEN as a bearer token.")
    runtime.database.observe_pool()
    body, content_type = metrics.render(request.headers.get("accept"))
    return Response(body, headers={"Content-Type": content_type})


def _is_token(header: str, token: str) -> bool:
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())
