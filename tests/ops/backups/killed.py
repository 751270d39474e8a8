"""A process that makes a backup and is killed, as by `kill -9`, when it is so far: `killed.py URL FOLDER KEY PHASE`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from app.domain.maintenance import BackupOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Progress, RunKind, RunTrigger
from app.runner import do_at_once
from app.runtime import open_runtime
from app.services.runs import RequestRun
from tests.conftest import make_settings


async def main(url: str, folder: str, key: str, phase: str) -> None:
    """Make a backup that comes to no end."""

    def tell(progress: Progress) -> None:
        name, _, suffix = phase.partition("*")
        if progress.phase == name and (progress.object_name or "").endswith(suffix):
            os.kill(os.getpid(), signal.SIGKILL)

    async with open_runtime(make_settings(url, Path(folder), encryption_key=key), url) as runtime:
        await do_at_once(runtime, COMMAND_LINE, RequestRun(RunKind.BACKUP, BackupOptions(), RunTrigger.COMMAND), tell)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
