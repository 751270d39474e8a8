"""A run is watched as a stream of events, which ends with it, with the server and with the right to look."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.db.direct import direct_connection
from app.domain.permissions import COMMAND_LINE, Permission
from app.domain.runs import Outcome, Progress, RunStatus, lock_name_of
from app.runner import direct_url
from app.runtime import MAX_WATCHERS, Runtime
from app.services import runs
from app.web.run_events import EventStream, Pace, events_of, stream
from tests.conftest import Clock, make_api_key, make_client, make_settings, running_app
from tests.web.admin.test_runs import start
from tests.web.logs import LogLines
from tests.web.problem import read_problem
from tests.web.streams import ServerSent, Stream, read_event, streaming

QUICK = Pace(look=0.01, heartbeat=0.03, credential=0.05, longest=30)


@pytest.fixture
async def reader(app: FastAPI) -> str:
    """An API key that may only look."""
    return await make_api_key(app, frozenset({Permission.OPS_READ}))


def watching(app: FastAPI, run_id: str, api_key: str, **headers: str):  # type: ignore[no-untyped-def] # as `streaming`
    return streaming(app, f"/admin/runs/{run_id}/events", api_key, **headers)


async def until(watcher: Stream, event: str) -> list[ServerSent]:
    """All that comes up to this event."""
    came: list[ServerSent] = []
    while not came or came[-1].event != event:
        one = await watcher.next()
        assert one is not None, came
        came.append(one)
    return came


async def permit() -> bool:
    return True


async def comments(app: FastAPI, run_id: str, pace: Pace, may_look=permit) -> AsyncIterator[str]:  # type: ignore[no-untyped-def]
    """The comments of a stream of its own pace, from whose run nothing new comes."""
    async for block in events_of(app.state.runtime, UUID(run_id), may_look, pace):
        one = read_event(block)
        if one.comment is not None:
            yield one.comment


async def test_a_watcher_is_told_the_present_each_change_and_the_end(
    app: FastAPI, api: httpx.AsyncClient, reader: str
) -> None:
    runtime: Runtime = app.state.runtime
    run = await start(api)
    run_id = UUID(run["id"])

    async with watching(app, run["id"], reader) as watcher:
        status, headers = await watcher.head()
        first = await watcher.next()
        async with direct_connection(direct_url(runtime)) as owner:
            assert await owner.try_hold(lock_name_of(run_id))
            async with runtime.database.transaction() as tx:
                await runs.take(tx, run_id, "here:1", now=runtime.now())
                await runs.tell_progress(tx, run_id, Progress(40.0, "vacuuming", "public.licenses", 80.0, 2, 5))
            second = await watcher.next()
            async with runtime.database.transaction() as tx:
                await runs.finish(tx, run_id, Outcome({"tables": 5}), RunStatus.SUCCEEDED, now=runtime.now())
            rest = await until(watcher, "finished")
        assert await watcher.next() is None

    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-store", "no")
    assert run.pop("result") is None
    assert first == ServerSent("progress", run)
    assert second is not None
    assert second.data["progress"] == {
        "percent": 40.0,
        "phase": "vacuuming",
        "objectName": "public.licenses",
        "objectPercent": 80.0,
        "objectsDone": 2,
        "objectsTotal": 5,
    }
    assert [one.event for one in rest] == ["progress", "finished"]
    assert "result" not in rest[0].data
    assert rest[-1].data == (await api.get(f"/admin/runs/{run['id']}")).json()
    assert rest[-1].data["result"] == {"tables": 5}


async def test_whoever_comes_after_the_end_or_again_is_told_how_it_stands(
    app: FastAPI, api: httpx.AsyncClient, reader: str
) -> None:
    run = await start(api)
    await api.post(f"/admin/runs/{run['id']}/cancel")

    async with watching(app, run["id"], reader, **{"last-event-id": "4711\u00e4; DROP TABLE runs"}) as watcher:
        assert (await watcher.head())[0] == 200
        came = await until(watcher, "finished")

    assert [(one.event, one.data["status"]) for one in came] == [("progress", "cancelled"), ("finished", "cancelled")]


async def test_who_may_not_look_or_asks_for_nothing_gets_a_problem(app: FastAPI, api: httpx.AsyncClient) -> None:
    run = await start(api)
    stranger = await make_api_key(app, frozenset({Permission.LICENSES_READ}))
    async with make_client(app, stranger) as client:
        read_problem(await client.get(f"/admin/runs/{run['id']}/events"), 403, "FORBIDDEN")

    read_problem(await api.get(f"/admin/runs/{uuid4()}/events"), 404, "RUN_NOT_FOUND")
    read_problem(await api.get("/admin/runs/last/events"), 422, "VALIDATION_FAILED")
    assert app.state.runtime.watchers._value == MAX_WATCHERS


async def test_there_are_places_for_fifty_and_who_hangs_up_frees_one_at_once(
    app: FastAPI, api: httpx.AsyncClient, reader: str, log_lines: LogLines
) -> None:
    runtime: Runtime = app.state.runtime
    run = await start(api)
    for _ in range(MAX_WATCHERS - 1):
        await runtime.watchers.acquire()

    async with watching(app, run["id"], reader) as watcher:
        assert (await watcher.head())[0] == 200
        await watcher.next()
        refused = await api.get(f"/admin/runs/{run['id']}/events")

    problem = read_problem(refused, 503, "OVERLOADED")
    assert "watch" in problem["detail"]
    assert not runtime.watchers.locked()
    line = log_lines.access()[-1]
    assert (line["status"], line["event"], line["path"]) == (200, "request", f"/admin/runs/{run['id']}/events")
    assert "Traceback" not in log_lines.text()
    assert "cancellation" not in log_lines.text()


async def test_a_stream_ends_at_once_when_the_server_is_to_stop(
    app: FastAPI, api: httpx.AsyncClient, reader: str
) -> None:
    run = await start(api)

    async with watching(app, run["id"], reader) as watcher:
        await watcher.head()
        await watcher.next()
        app.state.runtime.is_draining = True

        assert await watcher.next() == ServerSent(None, None, "this server stops, connect again")
        assert await watcher.next() is None


async def test_a_stream_ends_when_the_credential_has_ended(app: FastAPI, api: httpx.AsyncClient) -> None:
    run = await start(api)
    looks = iter([True, False])

    async def may_look() -> bool:
        return next(looks)

    said = [one async for one in comments(app, run["id"], QUICK, may_look)]

    assert said[-1] == "the credential has ended"
    assert next(looks, None) is None


async def test_a_credential_that_is_revoked_counts_no_more(app: FastAPI, api: httpx.AsyncClient, reader: str) -> None:
    run = await start(api)
    scope = {"type": "http", "headers": [(b"x-api-key", reader.encode())], "client": ("192.0.2.7", 50000), "app": app}
    [own] = [one for one in (await api.get("/api/api-keys")).json()["items"] if one["scopes"] == ["ops:read"]]
    answer = stream(Request(scope), app.state.runtime, UUID(run["id"]), QUICK)

    came = []
    async for block in answer.body_iterator:
        assert isinstance(block, bytes)
        came.append(read_event(block).comment)
        if len(came) == 5:  # signs of life, after the credential was looked at and found good
            assert (await api.delete(f"/api/api-keys/{own['id']}")).status_code < 300

    assert came[1:5] == ["still watching"] * 4
    assert came[-1] == "the credential has ended"


async def until_end(watcher: Stream) -> list[ServerSent]:
    came: list[ServerSent] = []
    while (one := await watcher.next()) is not None:
        came.append(one)
    return came


async def test_a_client_that_stops_reading_is_given_up() -> None:
    async def never(message: Message | None = None) -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    answer = EventStream(iter([b": hello\n\n"]))
    answer.send_seconds = 0.05

    with pytest.raises(ClientDisconnect):
        await answer({"type": "http"}, never, never)  # type: ignore[arg-type] # a `send` returns nothing


async def test_a_stream_has_an_end_and_signs_of_life_until_then(app: FastAPI, api: httpx.AsyncClient) -> None:
    run = await start(api)

    said = [one async for one in comments(app, run["id"], Pace(0.01, 0.03, 30, 0.2))]

    assert said[-1] == "this stream was long enough, connect again"
    assert 2 <= len(said) <= 7
    assert set(said[:-1]) == {"still watching"}


async def test_a_run_that_is_removed_meanwhile_ends_the_stream(
    app: FastAPI, api: httpx.AsyncClient, fresh_database: str
) -> None:
    run = await start(api)
    said = comments(app, run["id"], QUICK)
    assert await anext(said) == "still watching"

    with psycopg.connect(fresh_database) as connection:
        connection.execute("DELETE FROM runs")

    assert [one async for one in said][-1] == "the run is no longer on record"


async def test_a_stream_outlives_an_outage_of_the_database(
    app: FastAPI, api: httpx.AsyncClient, fresh_database: str
) -> None:
    run = await start(api)
    runtime: Runtime = app.state.runtime

    async def may_look() -> bool:
        async with runtime.database.transaction():
            return True

    said = comments(app, run["id"], QUICK, may_look)
    assert await anext(said) == "still watching"
    base, _, name = fresh_database.rpartition("/")
    name, _, options = name.partition("?")
    with psycopg.connect(f"{base}/postgres?{options}", autocommit=True) as other:
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        during = [await anext(said) for _ in range(3)]
        other.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    async with runtime.database.transaction() as tx:
        await runs.cancel(tx, COMMAND_LINE, UUID(run["id"]), now=runtime.now())

    assert during == ["still watching"] * 3
    assert {one async for one in said} <= {"still watching"}


async def test_no_transaction_is_open_while_somebody_watches(
    app: FastAPI, api: httpx.AsyncClient, reader: str, fresh_database: str
) -> None:
    run = await start(api)
    async with watching(app, run["id"], reader) as watcher:
        await watcher.head()
        await watcher.next()

        app.state.runtime.database.observe_pool()
        with psycopg.connect(fresh_database) as connection:
            states = connection.execute(
                "SELECT DISTINCT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name LIKE 'license-server%'"
            ).fetchall()

    assert states == [("idle",)]


async def test_a_stream_is_charged_once_and_its_time_is_that_to_its_start(
    fresh_database: str, tmp_path: Path, clock: Clock
) -> None:
    settings = make_settings(fresh_database, tmp_path, rate_limit_admin="3/minute")
    async with running_app(settings, clock) as app:
        key = await make_api_key(app, frozenset(Permission))
        async with make_client(app, key) as client:
            run = (await client.post("/admin/maintenance/analyze", json={})).json()
            async with watching(app, run["id"], key) as watcher:
                _, headers = await watcher.head()
                await watcher.next()
                app.state.runtime.is_draining = True
                await until_end(watcher)

            assert "r=1;" in headers["ratelimit"]
            assert (await client.get("/admin/runs")).status_code == 200
            read_problem(await client.get("/admin/runs"), 429, "RATE_LIMITED")
            metrics = (await client.get("/metrics")).text

    series = 'http_request_duration_seconds_bucket{handler="/admin/runs/{run_id}/events",le="0.3",method="GET"}'
    assert any(line.startswith(series) and not line.endswith(" 0.0") for line in metrics.splitlines())
