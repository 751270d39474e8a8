"""Patience: work that gives no sign of life for too long is ended, whoever hangs: a program, a database or a disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.domain.backups import BackupUnavailable

SILENCE_SECONDS = 600.0
"""Longer than one statement over 16 MiB of a table, or pg_dump's look at the catalogs, takes where anything works."""
LOOK_SECONDS = 0.5
INSIST_SECONDS = 2.0

Result = TypeVar("Result")


class BackupStalled(BackupUnavailable):
    """Nothing was heard of the database, the program or the disk for too long; look which of them hangs."""

    code = "BACKUP_STALLED"


class Patience:
    """How long work may go without a sign of life."""

    def __init__(self, seconds: float = SILENCE_SECONDS) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """There was a sign of life; any thread may say so."""
        self._heard_at = time.monotonic()

    async def watch(self, work: Coroutine[Any, Any, Result], doing: str) -> Result:
        """What the work gives; raises BackupStalled when it is silent for too long, and ends it."""
        self.renew()
        task = asyncio.create_task(work)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=min(LOOK_SECONDS, self._seconds))
                if not task.done() and time.monotonic() - self._heard_at > self._seconds:
                    raise BackupStalled(f"While {doing} nothing was heard for {self._seconds:.0f} s.")
            return task.result()
        finally:
            while not task.done():  # the second time psycopg drops its session
                task.cancel()
                await asyncio.wait({task}, timeout=INSIST_SECONDS)
