"""The metrics of this release, all of them; labels come from closed sets, never from what a client sends.

`initialise` once in each process, `instrument` the app after all other middleware, `render` for /metrics.
"""

import os
import platform
from collections.abc import Callable, Iterable
from functools import partial

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    values,
)
from prometheus_client.exposition import choose_encoder
from prometheus_fastapi_instrumentator.metrics import Info
from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware
from prometheus_fastapi_instrumentator.routing import get_route_name
from starlette.requests import Request
from starlette.types import ASGIApp

from app.telemetry.multiprocess import WorkersCollector, server_pids
from app.telemetry.processes import ProcessesCollector

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "_OTHER"
NO_HANDLER = "none"
DURATION_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1, 2, 2.5, 5, 10)
QUERY_EDGES = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_EDGES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
POOL_STATES = ("in_use", "idle")

REGISTRY = CollectorRegistry()
IS_MULTIPROCESS = values.ValueClass is not values.MutexValue

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no annotation here

http_requests = Counter(
    "http_requests_total",
    "Requests answered, by method, route template and status.",
    ["method", "handler", "status"],
    registry=REGISTRY,
)
http_request_duration = Histogram(
    "http_request_duration_seconds",
    "Time from the request to the start of its answer, in seconds.",
    ["method", "handler"],
    buckets=DURATION_EDGES,
    registry=REGISTRY,
)
build_info = Gauge(
    "license_server_build_info",
    "Always 1; the labels tell the release and the Python that runs it.",
    ["version", "python"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
validations = Counter(
    "license_server_validations_total",
    "Licenses validated, by the answer's code.",
    ["code"],
    registry=REGISTRY,
)
validation_batch_size = Histogram(
    "license_server_validation_batch_size",
    "Validations that shared one trip to the database.",
    buckets=BATCH_EDGES,
    registry=REGISTRY,
)
validation_line_length = Gauge(
    "license_server_validation_line_length",
    "Validations that wait for the next trip to the database.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
validation_trip = Histogram(
    "license_server_validation_trip_seconds",
    "Time of one trip of a batch of validations to the database and back, in seconds.",
    buckets=QUERY_EDGES,
    registry=REGISTRY,
)
db_query_duration = Histogram(
    "license_server_db_query_duration_seconds",
    "Time of one statement at the database, in seconds, by operation.",
    ["operation"],
    buckets=QUERY_EDGES,
    registry=REGISTRY,
)
db_pool_connections = Gauge(
    "license_server_db_pool_connections",
    "Connections of the pool, by state.",
    ["state"],
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
db_pool_timeouts = Counter(
    "license_server_db_pool_timeouts_total",
    "Requests that got no connection from the pool in time.",
    registry=REGISTRY,
)
login_failures = Counter(
    "license_server_login_failures_total", "Logins with a wrong email address or password.", registry=REGISTRY
)
rate_limit_exceeded = Counter(
    "license_server_rate_limit_exceeded_total",
    "Requests refused by a rate limit, by policy.",
    ["policy"],
    registry=REGISTRY,
)
security_events = Counter(
    "license_server_security_events_total", "Security events, by kind.", ["event"], registry=REGISTRY
)


def initialise(
    *,
    version: str,
    codes: Iterable[str] = (),
    policies: Iterable[str] = (),
    operations: Iterable[str] = (),
) -> None:
    """Start every series of the closed label sets at 0, so that a first occurrence is seen as an increase."""
    build_info.labels(version, platform.python_version()).set(1)
    for metric, label_values in (
        (validations, codes),
        (rate_limit_exceeded, policies),
        (db_query_duration, operations),
        (db_pool_connections, POOL_STATES),
    ):
        for label_value in label_values:
            metric.labels(label_value)


def instrument(app: FastAPI) -> None:
    """Count and time every request of the app, also those that inner middleware answers.

    Call it last: what is added last is the outermost. Routes added after the first request count as `none`.
    """
    app.add_middleware(RequestMetrics, recorder=_Recorder(app))


def render(accept: str | None) -> tuple[bytes, str]:
    """The exposition and its content type, in the format that the Accept header asks for; of all workers."""
    registry = REGISTRY
    if IS_MULTIPROCESS:
        folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
        registry = CollectorRegistry()
        registry.register(WorkersCollector(folder))
        registry.register(ProcessesCollector(partial(server_pids, folder)))
    encode, content_type = choose_encoder(accept or "")
    return encode(registry), content_type


class RequestMetrics(PrometheusInstrumentatorMiddleware):
    """The instrumentator without its second routing of each request: the router leaves the endpoint."""

    def __init__(self, app: ASGIApp, recorder: Callable[[Info], None]) -> None:
        super().__init__(app, should_group_status_codes=False, registry=REGISTRY, instrumentations=[recorder])

    def _get_handler(self, request: Request) -> tuple[str, bool]:
        return "", True


class _Recorder:
    """Records each request; keeps the routes' names and its metrics' children, so that it only looks up."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._templates: frozenset[str] = frozenset()
        self._template_of: dict[object, str] = {}
        self._requests: dict[tuple[str, str, int], Counter] = {}
        self._durations: dict[tuple[str, str], Histogram] = {}

    def __call__(self, info: Info) -> None:
        """Count the request and note its time up to the start of the answer: a stream may last for hours."""
        method = info.method if info.method in METHODS else OTHER
        handler = self._handler(info.request)
        status = info.response.status_code if info.response is not None else 500
        seconds = info.modified_duration_without_streaming or info.modified_duration

        requests = self._requests.get((method, handler, status))
        if requests is None:
            requests = self._requests_child(method, handler, status)
        requests.inc()

        durations = self._durations.get((method, handler))
        if durations is None:
            durations = self._durations[method, handler] = http_request_duration.labels(method, handler)
        durations.observe(seconds)

    def _requests_child(self, method: str, handler: str, status: int) -> Counter:
        if not 100 <= status <= 599:
            return http_requests.labels(method, handler, OTHER)
        child = self._requests[method, handler, status] = http_requests.labels(method, handler, status)
        return child

    def _handler(self, request: Request) -> str:
        """The template of the route; `none` for a path that is no route, never the path itself."""
        if not self._templates:
            self._learn_routes()
        known = self._template_of.get(request.scope.get("endpoint"))
        if known is not None:
            return known
        # refused before it was routed, or an endpoint of several routes: the library looks the route up
        found = get_route_name(request, should_include_root_path=False)
        return found if found in self._templates else NO_HANDLER

    def _learn_routes(self) -> None:
        template_of: dict[object, str] = {}
        shared: set[object] = set()
        templates = set()
        for route in iter_route_contexts(self._app.routes):
            if route.path is None:
                continue
            templates.add(route.path)
            if template_of.setdefault(route.endpoint, route.path) != route.path:
                shared.add(route.endpoint)
        self._template_of = {endpoint: path for endpoint, path in template_of.items() if endpoint not in shared}
        self._templates = frozenset(templates)


if not IS_MULTIPROCESS:
    REGISTRY.register(ProcessesCollector())
