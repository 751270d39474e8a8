"""The web application: routes, middleware and what lives from start to stop."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from functools import cache

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from app import __version__
from app.db.engine import OPERATIONS, OTHER_OPERATION
from app.domain.licenses import ValidationCode
from app.runtime import Clock, Runtime, database_url, open_runtime, utc_now
from app.settings import RateLimitPolicy, Settings
from app.telemetry import metrics, security_log
from app.telemetry.instrumentation import instrument
from app.telemetry.multiprocess import fold_dead_workers
from app.telemetry.security_log import SecurityEvent
from app.web import account_pages, probes, problems
from app.web.admin import audit_events as whole_audit_trail
from app.web.admin import (
    backups,
    certificates,
    database,
    downloads,
    error_groups,
    legal_holds,
    maintenance,
    reports,
    rescan,
    restores,
    retention,
    runs,
    schedules,
    security,
    verifications,
)
from app.web.api import (
    api_keys,
    audit_events,
    authentication,
    invitations,
    licenses,
    machines,
    oidc,
    organizations,
    passwords,
    plans,
    products,
    registrations,
    second_factors,
    sessions,
    users,
    validation,
)
from app.web.drain import drain_on_sigterm
from app.web.middleware.body_limit import BodyLimit
from app.web.middleware.cross_origin import CrossOrigin
from app.web.middleware.rate_limits import RateLimits
from app.web.middleware.request_context import RequestContext
from app.web.openapi import FAILURES, DescribedApplication

POOL_READING_SECONDS = 5.0
NOUNS = (
    account_pages,
    authentication,
    passwords,
    oidc,
    sessions,
    second_factors,
    invitations,
    registrations,
    users,
    organizations,
    products,
    plans,
    licenses,
    machines,
    api_keys,
    audit_events,
    security,
    maintenance,
    verifications,
    runs,
    database,
    retention,
    legal_holds,
    error_groups,
    reports,
    certificates,
    schedules,
    rescan,
    downloads,
    backups,
    restores,
    whole_audit_trail,
)

Meanwhile = Callable[[Runtime], AbstractAsyncContextManager[None]]


def _nothing(runtime: Runtime) -> AbstractAsyncContextManager[None]:
    return nullcontext()


def create_app(settings: Settings, *, clock: Clock = utc_now, meanwhile: Meanwhile = _nothing) -> FastAPI:
    """The application; it opens its runtime when it starts and closes it when it stops.

    `meanwhile` is entered with the runtime and left before it closes: the jobs of a real server.
    """
    app = DescribedApplication(
        title="iTechSmart License Server",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lambda app: _lifespan(app, settings, clock, meanwhile),
        redirect_slashes=False,
        responses=FAILURES,
    )
    app.router.routes.extend(_routes())
    problems.install(app)
    _add_middleware(app, settings)
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """All routes, worked out once a process: FastAPI does it for each inclusion, at the first request that comes."""
    whole = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, responses=FAILURES)
    for router in (validation.router, probes.router, *(noun.router for noun in NOUNS)):
        whole.include_router(router)
    for _ in iter_route_contexts(whole.routes):
        """Looking at each works it out."""
    return whole.routes


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """The last one added is the outermost."""
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(RateLimits)
    if settings.cors_origin:
        app.add_middleware(CrossOrigin, origins=settings.cors_origin)
    app.add_middleware(RequestContext, trusted_proxies=settings.trusted_proxies)
    instrument(app)


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, clock: Clock, meanwhile: Meanwhile) -> AsyncIterator[None]:
    if metrics.IS_MULTIPROCESS:
        fold_dead_workers(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    metrics.initialise(
        version=__version__,
        codes=list(ValidationCode),
        policies=list(RateLimitPolicy),
        operations=[*OPERATIONS, OTHER_OPERATION],
    )
    with database_url(settings, may_create=True) as url:
        async with open_runtime(settings, url, clock=clock) as runtime:
            app.state.runtime = runtime
            drain_on_sigterm(runtime)
            reading = asyncio.create_task(_read_pool(runtime))
            gc.collect()
            gc.freeze()
            security_log.record(SecurityEvent.SYS_STARTUP, "Server started", version=__version__)
            async with meanwhile(runtime):
                yield
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
    security_log.record(SecurityEvent.SYS_SHUTDOWN, "Server stopped")


async def _read_pool(runtime: Runtime) -> None:
    while True:
        runtime.database.observe_pool()
        await asyncio.sleep(POOL_READING_SECONDS)
