"""Commands that look into the stores of backups: rescan, download."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID

import typer

from app.cli.context import AsJson, run_long
from app.cli.output import fail, print_json, say, show
from app.domain.backups import Manifest
from app.domain.permissions import COMMAND_LINE
from app.domain.words import camel_case
from app.ops.backups.downloads import begin_download, pour, save
from app.ops.backups.reading import open_backup_file
from app.ops.backups.rescan import Rescan, rescan
from app.ops.backups.stores import open_stores
from app.runtime import Runtime
from app.telemetry.values import printable

STDOUT = Path("-")


def rescan_backups(as_json: AsJson = False) -> None:
    """Bring the catalog up to date with what the stores hold: what is there, what is gone, what is not taken."""

    async def work(runtime: Runtime) -> Rescan:
        return await rescan(runtime.database, runtime.settings, runtime.vault, COMMAND_LINE, now=runtime.now())

    done = run_long(work)
    if as_json:
        print_json({camel_case(name): value for name, value in asdict(done).items()})
        return
    show({name: getattr(done, name) for name in ("known", "found", "moved", "gone")}, as_json=False)
    for one in done.refused:
        say(printable(f"Not taken: {one.location}: {one.reason}"))
    for problem in done.problems:
        say(problem)


def download(
    backup_id: Annotated[UUID, typer.Argument(metavar="ID", help="Which backup.")],
    to: Annotated[Path, typer.Option(metavar="PATH", help="A new file, a folder, or - for stdout.")],
) -> None:
    """Take a backup's file out of the stores, checked; that it was is recorded."""

    async def work(runtime: Runtime) -> Manifest:
        async with runtime.database.transaction() as tx:
            manifest = await begin_download(tx, COMMAND_LINE, backup_id, now=runtime.now())
        stores = await asyncio.to_thread(open_stores, runtime.settings)
        with await asyncio.to_thread(open_backup_file, stores, manifest) as file:
            await asyncio.to_thread(_hand_over, file, manifest)
        return manifest

    def _hand_over(file: BinaryIO, manifest: Manifest) -> None:
        if to == STDOUT:
            pour(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            save(file, to / manifest.file_name if to.is_dir() else to)

    try:
        manifest = run_long(work)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left in the buffer is not wanted
        fail(f"stdout can't be written to: {error.strerror}.")
    if to != STDOUT:
        say(f"{manifest.file_name}: {manifest.bytes} bytes, SHA-256 {manifest.sha256}")
