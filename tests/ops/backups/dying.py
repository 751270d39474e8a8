"""A process that restores a backup, or rolls back, and is killed in the midst of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from app.domain.maintenance import RestoreOptions, RollbackOptions
from app.domain.permissions import COMMAND_LINE
from app.domain.runs import Progress, RunKind, RunTrigger
from app.runner import do_at_once
from app.runtime import open_runtime
from app.services.runs import RequestRun
from app.settings import Settings
from tests.conftest import make_settings
from tests.live import REPOSITORY


def die_restoring(settings: Settings, backup: str, phase: str, delay: float) -> None:
    """Restore the backup in a process that is killed so many seconds after it has told of this phase."""
    assert settings.database_url is not None
    assert settings.encryption_key is not None
    url, key = settings.database_url.get_secret_value(), settings.encryption_key.get_secret_value()
    words = [url, key, str(settings.data_dir), str(settings.backup_dir), backup, phase, str(delay)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.ops.backups.dying", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (-signal.SIGKILL, 0), done.stderr


async def _restore(url: str, key: str, data_dir: str, folder: str, backup: str, phase: str, delay: str) -> None:
    settings = make_settings(url, Path(data_dir), encryption_key=key, backup_dir=Path(folder))

    def tell(progress: Progress) -> None:
        if progress.phase == phase and not threading.active_count() > 50:
            if float(delay) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(float(delay), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()

    kind = RunKind.RESTORE if backup else RunKind.ROLLBACK
    options = RestoreOptions(backup, force=True) if backup else RollbackOptions()
    async with open_runtime(settings, url) as runtime:
        await do_at_once(runtime, COMMAND_LINE, RequestRun(kind, options, RunTrigger.COMMAND), tell)


if __name__ == "__main__":
    asyncio.run(_restore(*sys.argv[1:]))
