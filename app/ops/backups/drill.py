"""The drill: a recovery for real, from the backups' own place into an empty installation, with every step timed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from app.db.embedded import DATABASE
from app.db.workbench import Workbench
from app.domain.backups import MANIFEST_SUFFIX, BackupNotFound, BackupRefused, Manifest, StoreName
from app.domain.configuration import newest_bundle_name
from app.domain.drills import Circumstances, DrillReport, Step, judge_gaps
from app.domain.errors import DomainError
from app.domain.maintenance import DrillOptions
from app.domain.runs import Outcome, Progress
from app.domain.words import ByteCount
from app.ops.backups.configuration import is_off_disk
from app.ops.backups.reading import read_manifest_at
from app.ops.backups.stores import LocalStore, Store, open_stores
from app.ops.backups.trial import Trial, TrialFailed, remove_abandoned, trial_installation
from app.settings import Settings, inspect_settings
from app.vault import VaultError

REPORTS = "drills"
ROOM = 1.3
"""So many times the database's size must be free, beside the backup's file."""
CHUNK_BYTES = 1024 * 1024
ANSWER_SECONDS = 20.0

_CARRIED = ("ENCRYPTION_KEY", "BACKUP_ENCRYPTION_KEY")
"""All that the trial gets of the bundle: with more it could send mail, or reach the live database."""
_HARMLESS = {"SCHEDULES_ENABLED": "false", "DRAIN_SECONDS": "0", "WEB_CONCURRENCY": "1", "LOG_LEVEL": "warn"}

PHASES = ("configuration", "backup", "restore", "server", "validation")


@dataclass(slots=True)
class Course:
    """A drill under way: what is known so far, and the steps that are done."""

    bench: Workbench
    trial: Trial
    recovery_key: str | None = field(repr=False)
    source: Store
    steps: list[Step] = field(default_factory=list)
    has_bundle: bool = False
    settings: Settings | None = None
    manifest: Manifest | None = None

    async def step(self, name: str, work: Callable[[Course], Awaitable[str]]) -> bool:
        """Do a step and take its time; whether it succeeded."""
        self.bench.tell(Progress(100.0 * PHASES.index(name) / len(PHASES), name))
        began_at, detail, failure = time.monotonic(), "", None
        try:
            detail = await work(self)
        except (DomainError, VaultError, OSError) as error:
            failure = str(error)
        self.steps.append(Step(name, round(time.monotonic() - began_at, 3), detail, failure))
        return failure is None


async def drill(bench: Workbench, options: DrillOptions, *, recovery_key: str | None = None) -> Outcome:
    """Recover into an empty installation, and write down how it went; the live one is not touched.

    The recovery key opens the bundle that lies beside the backups; without it the live settings are used: a gap.
    """
    began_at = bench.now()
    source = list(open_stores(bench.settings).values())[-1]
    async with trial_installation(bench.settings.data_dir, bench.run_id) as trial:
        course = Course(bench, trial, recovery_key or None, source)
        for name, work in zip(PHASES, (_configure, _fetch, _restore), strict=False):
            if not await course.step(name, work):
                break
        else:
            await _serve(course)
    report = _report(course, options, began_at)
    paths = await asyncio.to_thread(_write, bench.settings.data_dir / REPORTS, report)
    warnings = tuple(f"{gap.sentence} To do: {gap.action}" for gap in report.gaps)
    return Outcome({**report.as_document(), "reports": [str(path) for path in paths]}, warnings, report.failure)


async def clean_up(bench: Workbench) -> None:
    """End and remove what a drill left whose process was killed."""
    await asyncio.to_thread(remove_abandoned, bench.settings.data_dir)


async def _configure(course: Course) -> str:
    """Settings and keys: from the bundle when the recovery key is at hand, else from the live installation."""
    trial, bench = course.trial, course.bench
    name = newest_bundle_name(await asyncio.to_thread(course.source.list_names))
    course.has_bundle = name is not None
    if name is None or course.recovery_key is None:
        path = bench.settings.data_dir / "encryption.key"
        trial.settings = _settings_of(bench.settings, trial)
        if bench.settings.encryption_key is None:
            await asyncio.to_thread(_copy_key, path, trial)
        course.settings = bench.settings
        return "taken from the live installation"
    bundle, folder = trial.folder / "bundle.age", trial.folder / "configuration"
    bundle.write_text(await asyncio.to_thread(course.source.read_text, name))
    await trial.command(
        "configuration",
        "restore",
        bundle.name,
        "--to",
        str(folder),
        "--recovery-key-file",
        "-",
        said=course.recovery_key,
    )
    found = inspect_settings({}, folder / ".env")
    if found.problems:
        raise TrialFailed(f"The bundle's settings can't be used: {found.problems[0]}")
    if (folder / "encryption.key").exists():
        _copy_key(folder / "encryption.key", trial)
    trial.settings = _settings_of(found.settings, trial)
    course.settings = found.settings
    return f"{name} opened with the recovery key"


async def _fetch(course: Course) -> str:
    """The newest backup, from its place alone: no catalog of ours is asked."""
    assert course.settings is not None, "the configuration comes first"
    store = course.source
    if store.name is not StoreName.LOCAL:
        store = open_stores(course.settings)[store.name]  # with what the bundle knows of it
    manifest = await asyncio.to_thread(_newest_manifest, store)
    course.manifest = manifest
    await asyncio.to_thread(_require_room, course.trial, manifest)
    stopped: list[bool] = []
    task = asyncio.ensure_future(asyncio.to_thread(_copy, store, manifest, course.trial.backup_dir, stopped))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        stopped.append(True)
        await asyncio.wait({task})
        raise
    return f"{manifest.file_name}, {ByteCount(manifest.bytes)}, from {store.location('')}"


async def _restore(course: Course) -> str:
    """The same command as in a disaster, in an empty installation."""
    await course.trial.command("restore", "--backup", "newest", "--confirm", DATABASE, "--json")
    assert course.manifest is not None, "the backup comes first"
    return f"{course.manifest.rows:,} rows in {len(course.manifest.tables)} tables"


async def _serve(course: Course) -> None:
    """A server on what was restored, and a license that it validates."""
    async with AsyncExitStack() as stack:
        addresses: list[str] = []

        async def start(course: Course) -> str:
            addresses.append(await stack.enter_async_context(course.trial.serving()))
            return "ready"

        if await course.step("server", start):
            await course.step("validation", lambda course: _validate(course, addresses[0]))


async def _validate(course: Course, address: str) -> str:
    """Ask as a client program does, with a license key that was decrypted with the restored keys."""
    listed = json.loads(await course.trial.command("licenses", "list", "--json"))["items"]
    if not listed:
        return "there are no licenses yet, so none was validated"
    active = [one["id"] for one in listed if one["status"] == "ACTIVE"]
    license_id = (active or [one["id"] for one in listed])[0]
    shown = json.loads(await course.trial.command("licenses", "show-key", license_id, "--json"))
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS) as client:
            answer = await client.post(f"{address}/api/licenses/validate", json={"licenseKey": shown["licenseKey"]})
        document: dict[str, Any] = answer.json()
        found = (document.get("license") or {}).get("id")
    except (httpx.HTTPError, ValueError) as error:
        raise TrialFailed(f"The server validated nothing ({type(error).__name__}).") from error
    if found != license_id:
        raise TrialFailed(f"The license {license_id} is not known to the server that was restored.")
    return f"license {license_id} is answered {document['code']}"


def _report(course: Course, options: DrillOptions, began_at: datetime) -> DrillReport:
    age = None if course.manifest is None else max(timedelta(0), began_at - course.manifest.created_at)
    found = Circumstances(
        has_recovery_key=course.recovery_key is not None,
        has_bundle=course.has_bundle,
        is_off_disk=is_off_disk(course.bench.settings, course.source),
        data_age=age,
    )
    return DrillReport(
        run_id=course.bench.run_id,
        began_at=began_at,
        led_by=options.led_by,
        answers=options.answers,
        source=course.source.location(""),
        backup=None if course.manifest is None else course.manifest.file_name,
        data_age=age,
        steps=tuple(course.steps),
        gaps=judge_gaps(found, options.answers),
    )


def _settings_of(settings: Settings, trial: Trial) -> dict[str, str]:
    given = {one.name: one.value for one in settings.given if one.name in _CARRIED}
    keys = {
        "ENCRYPTION_KEY": ",".join(settings.encryption_keys()),
        "BACKUP_ENCRYPTION_KEY": ",".join(settings.backup_keys()),
    }
    places = {"DATA_DIR": str(trial.data_dir), "BACKUP_DIR": str(trial.backup_dir)}
    return {name: value for name, value in (keys | given).items() if value} | places | _HARMLESS


def _copy_key(path: Path, trial: Trial) -> None:
    target = trial.data_dir / "encryption.key"
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(path.read_text())


def _newest_manifest(store: Store) -> Manifest:
    """The newest backup in a place that has both its file and a manifest that can be read."""
    names = store.list_names()
    refusal: DomainError = BackupNotFound(f"There is no backup in {store.location('')}.")
    for name in sorted((one for one in names if one.endswith(MANIFEST_SUFFIX)), reverse=True):
        try:
            manifest = read_manifest_at(store, name)
        except BackupRefused as error:
            refusal = error
            continue
        if manifest.file_name in names:
            return manifest
        refusal = BackupNotFound(f"{store.location(manifest.file_name)} is missing.")
    raise refusal


def _require_room(trial: Trial, manifest: Manifest) -> None:
    needed, free = manifest.bytes + round(manifest.database_bytes * ROOM), shutil.disk_usage(trial.folder).free
    if needed > free:
        raise TrialFailed(f"The drill needs {ByteCount(needed)} at {trial.folder.parent}; {ByteCount(free)} are free.")


def _copy(store: Store, manifest: Manifest, folder: Path, stopped: list[bool]) -> None:
    """All files of a backup into a folder; a second name of the same file where that can be."""
    stem = manifest.file_name.partition(".")[0]
    for name in (one for one in store.list_names() if one.startswith(f"{stem}.")):
        if isinstance(store, LocalStore):
            with suppress(OSError):
                os.link(store.folder / name, folder / name)
                continue
        with store.open(name) as source, (folder / name).open("xb") as target:
            while not stopped and (chunk := source.read(CHUNK_BYTES)):
                target.write(chunk)


def _write(folder: Path, report: DrillReport) -> list[Path]:
    """The report as Markdown and JSON, for us alone."""
    texts = {".md": report.as_markdown(), ".json": json.dumps(report.as_document(), indent=2) + "\n"}
    paths = []
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for suffix, text in texts.items():
        path = (folder / report.file_stem).with_suffix(suffix).resolve()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        paths.append(path)
    return paths
