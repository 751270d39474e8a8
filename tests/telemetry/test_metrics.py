"""Every request is counted under the template of its route, and nothing a client sends becomes a series."""

import random
import string
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import StreamingResponse
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import metrics
from app.telemetry.instrumentation import instrument
from app.telemetry.metrics import REGISTRY, initialise, render

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class RefuseLarge:
    """An inner middleware that answers without routing, as the limit on bodies does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 to whoever says that the body is large."""
        if (b"x-large", b"1") in scope.get("headers", []):
            await send({"type": "http.response.start", "status": 413, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self.app(scope, receive, send)


def make_app() -> FastAPI:
    """An app with one of each kind of route."""
    machines = APIRouter(prefix="/machines")
    licenses = APIRouter(prefix="/licenses/{license_id}")
    app = FastAPI()

    @machines.get("/{machine_id}")
    async def show_machine(license_id: str, machine_id: str) -> str:
        return license_id + machine_id

    async def shared() -> str:
        return "shared"

    machines.add_api_route("/shared/one", shared)
    machines.add_api_route("/shared/two", shared)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a" * 1000, b"b" * 1000]))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("defect")

    @app.get("/odd/{status}")
    async def odd(status: int) -> Response:
        return Response(status_code=status)

    licenses.include_router(machines)
    app.include_router(licenses, prefix="/api")
    app.add_middleware(RefuseLarge)
    instrument(app)
    return app


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app; defects become 500 as on a real server."""
    transport = httpx.ASGITransport(make_app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as ready:
        yield ready


def requests(method: str, handler: str, status: str) -> float:
    """How often it was counted."""
    labels = {"method": method, "handler": handler, "status": status}
    return REGISTRY.get_sample_value("http_requests_total", labels) or 0.0


def series() -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """All series there are."""
    return {
        (sample.name, frozenset(sample.labels.items())) for metric in REGISTRY.collect() for sample in metric.samples
    }


@pytest.mark.parametrize(
    ("method", "path", "handler", "status"),
    [
        ("GET", "/api/licenses/7/machines/8", "/api/licenses/{license_id}/machines/{machine_id}", "200"),
        (
            "GET",
            "/api/licenses/7/machines/shared/two",
            "/api/licenses/{license_id}/machines/shared/two",
            "200",
        ),
        ("PUT", "/api/licenses/7/machines/8", "/api/licenses/{license_id}/machines/{machine_id}", "405"),
        ("GET", "/api/licenses/7/machines/8/", "none", "307"),
        ("GET", "/nowhere", "none", "404"),
        ("BREW", "/stream", "/stream", "405"),
        ("GET", "/stream", "/stream", "200"),
        ("GET", "/broken", "/broken", "500"),
        ("GET", "/odd/599", "/odd/{status}", "599"),
        ("GET", "/odd/700", "/odd/{status}", "_OTHER"),
    ],
)
async def test_request_is_counted_under_its_route(
    client: httpx.AsyncClient, method: str, path: str, handler: str, status: str
) -> None:
    labelled = "_OTHER" if method == "BREW" else method
    before = requests(labelled, handler, status)

    await client.request(method, path)

    assert requests(labelled, handler, status) == before + 1


async def test_answer_of_inner_middleware_is_counted_under_the_route_it_was_meant_for(
    client: httpx.AsyncClient,
) -> None:
    before = requests("GET", "/stream", "413")

    await client.get("/stream", headers={"x-large": "1"})

    assert requests("GET", "/stream", "413") == before + 1


async def test_streamed_body_arrives_whole(client: httpx.AsyncClient) -> None:
    answer = await client.get("/stream")

    assert answer.content == b"a" * 1000 + b"b" * 1000


async def test_duration_has_the_edges_that_the_alerts_need(client: httpx.AsyncClient) -> None:
    await client.get("/stream")

    edges = [
        sample.labels["le"]
        for metric in REGISTRY.collect()
        if metric.name == "http_request_duration_seconds"
        for sample in metric.samples
        if sample.name.endswith("_bucket")
        and sample.labels["handler"] == "/stream"
        and sample.labels["method"] == "GET"
    ]
    assert " ".join(edges) == "0.005 0.01 0.025 0.05 0.1 0.25 0.3 0.5 1.0 2.0 2.5 5.0 10.0 +Inf"


async def test_random_paths_and_methods_add_no_series(client: httpx.AsyncClient) -> None:
    dice = random.Random(7)
    await client.get("/nowhere")
    await client.request("BREW", "/nowhere")
    await client.get("/api/licenses/a/machines/b")
    await client.get("/api/licenses/a/machines/b/")
    await client.request("BREW", "/api/licenses/a/machines/b/")
    await client.request("BREW", "/api/licenses/a/machines/b")
    before = series()

    for number in range(10_000):
        word = "".join(dice.choices(string.ascii_letters + string.digits + "{}%", k=12)).replace("%", "%25")
        method = "GET" if number % 2 else f"X{dice.randrange(10**6)}"
        path = dice.choice(["/{}", "/api/licenses/{}", "/api/licenses/{}/machines/x", "/api/licenses/{}/machines/x/"])
        await client.request(method, path.replace("{}", word))

    assert series() == before


def test_closed_sets_start_at_zero() -> None:
    initialise(version="1.0.0", codes=["VALID", "NEVER_GIVEN"], policies=["never_hit"], operations=["select"])

    assert REGISTRY.get_sample_value("license_server_validations_total", {"code": "NEVER_GIVEN"}) == 0
    assert REGISTRY.get_sample_value("license_server_rate_limit_exceeded_total", {"policy": "never_hit"}) == 0
    assert REGISTRY.get_sample_value("license_server_db_pool_connections", {"state": "in_use"}) is not None


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0"),
    ],
)
def test_exposition_comes_in_the_format_that_was_asked_for(accept: str | None, content_type: str) -> None:
    body, answered = render(accept)

    assert answered.startswith(content_type)
    assert b"process_resident_memory_bytes" in body


def test_exposition_is_readable_and_tells_about_the_process() -> None:
    body, _ = render(None)

    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["process_resident_memory_bytes"] > 1_000_000
    assert samples["process_cpu_seconds_total"] > 0
    assert samples["process_start_time_seconds"] > 1_600_000_000
    assert 0 < samples["process_open_fds"] < samples["process_max_fds"]
    assert not [name for name in samples if name.endswith("_created")]


def test_names_follow_the_conventions() -> None:
    declared = [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)]
    assert len(declared) == 18

    for metric in declared:
        family = next(iter(metric.describe()))
        assert family.name.startswith(("license_server_", "http_request"))
        assert family.name == family.name.lower()
        assert family.documentation.endswith(".")
        if isinstance(metric, Histogram):
            assert family.name.endswith(("_seconds", "_bytes", "_size"))
        if isinstance(metric, Counter):
            assert b"# TYPE " + family.name.encode() + b"_total counter" in render(None)[0]


def test_gauges_of_dead_workers_can_be_forgotten() -> None:
    gauges = [value for value in vars(metrics).values() if isinstance(value, Gauge)]

    assert {gauge._multiprocess_mode for gauge in gauges} <= {"livesum", "livemax", "livemostrecent"}
