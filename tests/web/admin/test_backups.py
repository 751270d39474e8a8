"""The catalog of backups over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from app.db.models import Backup
from app.domain.backups import BackupStatus
from app.domain.permissions import Role
from app.jobs.backups import tell_backups
from app.telemetry.metrics import REGISTRY
from app.web.security import STEP_UP_LIFETIME
from tests.conftest import Clock
from tests.factories.backups import make_backup
from tests.ops.maintenance.bench import rows
from tests.web.people import make_user, session_of
from tests.web.problem import read_problem

BACKUPS = "/admin/backups"
REPORT = {"tool": "pgbackrest", "finishedAt": "2026-03-01T11:00:00Z", "status": "stored", "label": "20260301-110000F"}
MANIFEST = {"encryptedFor": None, "schemaHead": "0011", "tables": [{"name": "a", "rows": 2}, {"name": "b", "rows": 5}]}


async def put(app: FastAPI, clock: Clock, days: float, status: BackupStatus, **others: Any) -> Backup:
    """A backup so many days old."""
    async with app.state.runtime.database.transaction() as tx:
        return await make_backup(tx, clock.now - timedelta(days=days), status, **others)


async def test_backups_are_listed_newest_first_in_pages_and_shown_with_their_manifest(
    app: FastAPI, api: httpx.AsyncClient, clock: Clock
) -> None:
    made = [
        await put(app, clock, days, BackupStatus.STORED, manifest=MANIFEST if days == 3 else None) for days in (3, 1, 2)
    ]
    await put(app, clock, 4, BackupStatus.FAILED)

    first = (await api.get(BACKUPS, params={"limit": 2, "status": "stored"})).json()
    second = (await api.get(BACKUPS, params={"status": "stored", "cursor": first["nextCursor"]})).json()

    assert [one["id"] for one in (*first["items"], *second["items"])] == [str(made[at].id) for at in (1, 2, 0)]
    shown = (await api.get(f"{BACKUPS}/{made[0].id}")).json()
    assert shown.pop("manifest") == MANIFEST
    assert shown == second["items"][0]
    assert (shown["rows"], shown["schemaHead"], shown["encrypted"], shown["isPinned"]) == (7, "0011", False, False)
    assert first["items"][0]["rows"] is None
    read_problem(await api.get(f"{BACKUPS}/{uuid4()}"), 404, "BACKUP_NOT_FOUND")
    read_problem(await api.get(BACKUPS, params={"cursor": "bm8"}), 422, "INVALID_CURSOR")


async def test_a_pin_is_a_mark_with_a_note_and_once_in_the_trail(
    app: FastAPI, api: httpx.AsyncClient, clock: Clock, fresh_database: str
) -> None:
    made = await put(app, clock, 1, BackupStatus.VERIFIED)
    path = f"{BACKUPS}/{made.id}"

    pinned = (await api.post(f"{path}/pin", json={"note": "before 2.0"})).json()
    again = (await api.post(f"{path}/pin")).json()
    read_problem(await api.delete(path), 409, "BACKUP_PINNED")
    unpinned = (await api.post(f"{path}/unpin")).json()
    await api.post(f"{path}/unpin")

    assert (pinned["isPinned"], pinned["note"], pinned["status"], again) == (True, "before 2.0", "verified", pinned)
    assert (unpinned["isPinned"], unpinned["note"]) == (False, "before 2.0")
    read_problem(await api.delete(path), 409, "LAST_GOOD_BACKUP")
    events = rows(fresh_database, "SELECT event FROM audit_events WHERE event LIKE 'backup.%%' ORDER BY id")
    assert events == [("backup.pinned",), ("backup.unpinned",)]


async def test_expiry_can_be_foreseen_and_deleting_asks_for_a_recent_proof(
    app: FastAPI, api: httpx.AsyncClient, clock: Clock
) -> None:
    made = [await put(app, clock, days, BackupStatus.VERIFIED) for days in (1, 2, 3, 40)]
    folder = app.state.runtime.settings.backup_dir
    folder.mkdir(parents=True)
    for one in made:
        (folder / str(one.file_name)).touch()

    foreseen = (await api.post(f"{BACKUPS}/expire", json={"dryRun": True})).json()
    assert (await api.get(f"{BACKUPS}/{made[3].id}")).json()["status"] == "verified"
    done = (await api.post(f"{BACKUPS}/expire")).json()

    assert [(one["id"], one["reason"], one["leftIn"]) for one in done["gone"]] == [(str(made[3].id), "old", [])]
    assert (foreseen["dryRun"], done["dryRun"]) == (True, False)
    assert foreseen == done | {"dryRun": True}
    assert {one["reason"] for one in done["kept"]} == {"recent"}
    assert (await api.get(BACKUPS, params={"status": "expired"})).json()["items"][0]["expiredAt"] is not None
    async with await session_of(app, await make_user(app, Role.OPERATOR)) as late:
        clock.forward(seconds=STEP_UP_LIFETIME.total_seconds() + 1)
        read_problem(await late.delete(f"{BACKUPS}/{made[0].id}"), 403, "STEP_UP_REQUIRED")
    deleted = (await api.delete(f"{BACKUPS}/{made[0].id}")).json()
    assert (deleted["id"], deleted["reason"]) == (str(made[0].id), "requested")


async def test_other_tools_report_and_repeat_and_prove_later(api: httpx.AsyncClient, fresh_database: str) -> None:
    first = (await api.post(f"{BACKUPS}/reports", json=REPORT)).json()
    again = (await api.post(f"{BACKUPS}/reports", json=REPORT)).json()
    proven = (await api.post(f"{BACKUPS}/reports", json=REPORT | {"status": "verified"})).json()
    late = (await api.post(f"{BACKUPS}/reports", json=REPORT)).json()

    assert (first["tool"], first["fileName"], first["createdAt"], first["stores"]) == (
        *("pgbackrest", "20260301-110000F", "2026-03-01T11:00:00.000Z", []),
    )
    assert again == first
    assert (proven["id"], proven["status"], proven["verifiedAt"] is not None) == (first["id"], "verified", True)
    assert late == proven
    events = rows(
        fresh_database, "SELECT data->>'status' FROM audit_events WHERE event = 'backup.reported' ORDER BY id"
    )
    assert events == [("stored",), ("verified",)]
    read_problem(await api.post(f"{BACKUPS}/{first['id']}/pin"), 409, "BACKUP_STATE_CONFLICT")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tool": "license-server"}, "tool"),
        ({"finishedAt": "2026-03-01T12:10:00Z"}, "finishedAt"),
        ({"startedAt": "2026-03-01T11:00:01Z"}, "startedAt"),
    ],
)
async def test_a_report_that_cannot_be_true_is_refused(
    api: httpx.AsyncClient, change: dict[str, str], field: str
) -> None:
    problem = read_problem(await api.post(f"{BACKUPS}/reports", json=REPORT | change), 422, "BACKUP_REPORT_REFUSED")

    assert [error["field"] for error in problem["errors"]] == [field]


async def test_monitors_are_told_the_newest_of_all_tools_and_nothing_that_is_dated_later_than_now(
    app: FastAPI, api: httpx.AsyncClient, clock: Clock
) -> None:
    name = "license_server_backup_"
    await put(app, clock, -300, BackupStatus.VERIFIED, verified_at=clock.now + timedelta(days=300), bytes=1)
    await put(app, clock, 2, BackupStatus.VERIFIED, verified_at=clock.now, recovery_seconds=12.5, bytes=77)
    await put(app, clock, 0, BackupStatus.FAILED, bytes=5)
    await tell_backups(app.state.runtime)
    own = (clock.now - timedelta(days=2)).timestamp()
    assert REGISTRY.get_sample_value(f"{name}last_success_timestamp_seconds") == own

    await api.post(f"{BACKUPS}/reports", json=REPORT)
    await tell_backups(app.state.runtime)

    reported = (clock.now - timedelta(hours=1)).timestamp()
    assert REGISTRY.get_sample_value(f"{name}last_success_timestamp_seconds") == reported
    assert REGISTRY.get_sample_value(f"{name}last_verified_timestamp_seconds") == clock.now.timestamp()
    assert REGISTRY.get_sample_value(f"{name}recovery_seconds") == 12.5
    assert REGISTRY.get_sample_value(f"{name}bytes") == 77
