"""Counting and timing every request of the app; apart from the metrics, which commands need without a web framework."""

from collections.abc import Callable

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from prometheus_client import Counter, Histogram
from prometheus_fastapi_instrumentator.metrics import Info
from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware
from prometheus_fastapi_instrumentator.routing import get_route_name
from starlette.requests import Request
from starlette.types import ASGIApp

from app.telemetry.metrics import METHODS, NO_HANDLER, OTHER, REGISTRY, http_request_duration, http_requests


def instrument(app: FastAPI) -> None:
    """Count and time every request of the app, also those that inner middleware answers.

    Call it last: what is added last is the outermost. Routes added after the first request count as `none`.
    """
    app.add_middleware(RequestMetrics, recorder=_Recorder(app))


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
