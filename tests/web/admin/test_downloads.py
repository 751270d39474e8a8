"""Backups over HTTP: rescanned and downloaded, from the folder and from a bucket."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest
from fastapi import FastAPI

from app.domain.permissions import Permission
from app.ops.backups.stores import LocalStore, open_stores
from app.runtime import Runtime
from app.settings import Settings
from app.vault import Vault
from tests.conftest import make_api_key, make_client, make_settings
from tests.live import LiveServer, wait_until
from tests.ops.backups.copies import make_content, make_manifest
from tests.s3 import LiveS3
from tests.web.problem import read_problem

CONTENT = make_content(12_000_000)


@pytest.fixture
def settings(fresh_database: str, tmp_path: Path, s3: LiveS3) -> Settings:
    """The settings of a server whose backups are copied into the bucket."""
    return make_settings(fresh_database, tmp_path, **s3.settings)


async def _found(app: FastAPI, api: httpx.AsyncClient, s3: LiveS3) -> str:
    """A backup that lies in the bucket alone, on record; its id."""
    runtime: Runtime = app.state.runtime
    manifest = make_manifest(runtime.vault, CONTENT)
    s3.write(manifest.file_name, CONTENT)
    s3.write(manifest.name, manifest.as_text().encode())
    done = (await api.post("/admin/backups/rescan")).json()
    assert done["found"] == [str(manifest.id)]
    return str(manifest.id)


async def test_a_backup_is_found_by_a_rescan_and_downloaded(app: FastAPI, api: httpx.AsyncClient, s3: LiveS3) -> None:
    backup_id = await _found(app, api, s3)
    again = (await api.post("/admin/backups/rescan")).json()

    answer = await api.get(f"/admin/backups/{backup_id}/download")

    assert again == {"found": [], "moved": [], "gone": [], "known": 1, "refused": [], "problems": []}
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == "12000000"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="backup-')
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert answer.headers["repr-digest"] == f"sha-256=:{digest}:"
    events = (await api.get("/admin/audit-events", params={"subjectId": backup_id})).json()["items"]
    assert [one["event"] for one in events] == ["backup.downloaded", "backup.found"]


async def test_only_who_may_restore_downloads(app: FastAPI, api: httpx.AsyncClient, s3: LiveS3) -> None:
    backup_id = await _found(app, api, s3)
    secret = await make_api_key(app, frozenset({Permission.OPS_BACKUP, Permission.OPS_READ}))

    async with make_client(app, secret) as maker:
        read_problem(await maker.get(f"/admin/backups/{backup_id}/download"), 403, "FORBIDDEN")


async def test_what_can_not_be_downloaded_is_told_before_the_answer_begins(
    app: FastAPI, api: httpx.AsyncClient, s3: LiveS3
) -> None:
    backup_id = await _found(app, api, s3)
    [file] = [name for name in s3.names() if name.endswith(".zst")]

    read_problem(await api.get(f"/admin/backups/{uuid4()}/download"), 404, "BACKUP_NOT_FOUND")
    s3.write(file, CONTENT[:-1])
    read_problem(await api.get(f"/admin/backups/{backup_id}/download"), 409, "BACKUP_DAMAGED")
    s3.remove(file)
    read_problem(await api.get(f"/admin/backups/{backup_id}/download"), 409, "BACKUP_FILE_MISSING")
    await api.post("/admin/backups/rescan")
    read_problem(await api.get(f"/admin/backups/{backup_id}/download"), 409, "BACKUP_STATE_CONFLICT")


def test_a_damaged_file_never_looks_like_a_whole_one(live_server: LiveServer, vault: Vault) -> None:
    key = live_server.json("api-keys", "create", "--name", "tests", "--scope", "ops:restore", "--scope", "ops:backup")
    headers = {"X-API-Key": key["apiKey"]}
    manifest = make_manifest(vault, CONTENT)
    store = LocalStore(live_server.folder / "data" / "backups")
    store.prepare()
    store.put_text(manifest.name, manifest.as_text())
    (store.folder / manifest.file_name).write_bytes(CONTENT)
    url = f"/admin/backups/{manifest.id}/download"
    assert live_server.client.post("/admin/backups/rescan", headers=headers).json()["found"] == [str(manifest.id)]
    assert live_server.client.get(url, headers=headers).content == CONTENT

    (store.folder / manifest.file_name).write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:])

    with pytest.raises(httpx.RemoteProtocolError):
        live_server.client.get(url, headers=headers)
    said = {line["event"]: line for line in live_server.lines()}
    assert "has another SHA-256" in said["download_cut"]["reason"]
    assert "defect" not in said


def test_a_client_that_hangs_up_leaves_no_open_file(live_server: LiveServer, vault: Vault) -> None:
    key = live_server.json("api-keys", "create", "--name", "tests", "--scope", "ops:restore", "--scope", "ops:backup")
    headers = {"X-API-Key": key["apiKey"]}
    content = make_content(60_000_000)
    manifest = make_manifest(vault, content)
    store = LocalStore(live_server.folder / "data" / "backups")
    store.prepare()
    store.put_text(manifest.name, manifest.as_text())
    (store.folder / manifest.file_name).write_bytes(content)
    rescanned = live_server.client.post("/admin/backups/rescan", headers=headers)
    assert rescanned.status_code == 200, rescanned.text

    def is_open() -> bool:
        files = psutil.Process(live_server.process.pid).open_files()
        return any(one.path.endswith(manifest.file_name) for one in files)

    with live_server.client.stream("GET", f"/admin/backups/{manifest.id}/download", headers=headers) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_raw(1000)  # kept: without it the library closes the connection
        next(pieces)
        assert is_open()

    wait_until(lambda: not is_open(), "the file is closed")


def test_stores_are_the_folder_and_the_bucket(settings: Settings) -> None:
    assert [str(name) for name in open_stores(settings)] == ["local", "s3"]
