"""Telling how far a run is: percent of everything by size, and what the database says of the statement under way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from app.db.queries import maintenance
from app.db.workbench import Workbench
from app.domain.errors import Unavailable
from app.domain.runs import Progress
from app.domain.statement_progress import percent_of_statement

LOOK_SECONDS = 0.5


class Watch:
    """Looks twice a second, over the pool, at the statement that runs on the bench's own session."""

    def __init__(self, bench: Workbench, *, weight: int, objects: int) -> None:
        self._bench = bench
        self._weight = max(1, weight)
        self._objects = objects
        self._weight_done = 0
        self._objects_done = 0
        self.blocker: str | None = None
        """Who stood in the way of the last statement, when it was looked at last."""

    @asynccontextmanager
    async def at(self, title: str, weight: int, phase: str) -> AsyncIterator[None]:
        """Meanwhile the statement under way is about this object, which is so heavy."""
        self.blocker = None
        self._tell(title, weight, phase, None)
        task = asyncio.create_task(self._look_on(title, weight, phase))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def count(self, weight: int) -> None:
        """An object of this weight is through."""
        self._weight_done += weight
        self._objects_done += 1

    async def _look_on(self, title: str, weight: int, phase: str) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with self._bench.database.transaction() as tx:
                    activity = await maintenance.find_activity(tx, self._bench.direct.pid)
            except Unavailable:
                continue  # the statement goes on; how far it is can wait
            if activity.blockers:
                self.blocker = _in_words(activity.blockers[0])
            percent = percent_of_statement(activity.view, activity.progress)
            self._tell(title, weight, activity.progress.get("phase") or phase, percent)

    def _tell(self, title: str, weight: int, phase: str, percent: float | None) -> None:
        done = self._weight_done + weight * (percent or 0.0) / 100
        progress = Progress(
            percent=round(min(100.0, 100 * done / self._weight), 1),
            phase=phase,
            object_name=title,
            object_percent=percent,
            objects_done=self._objects_done,
            objects_total=self._objects,
        )
        self._bench.tell(progress)


def _in_words(blocker: dict[str, Any]) -> str:
    if blocker["pid"] == 0:
        return "a prepared transaction (see pg_prepared_xacts)"
    details = [f"role {blocker['role']}"] if blocker["role"] else []
    details += [blocker["state"]] if blocker["state"] else []
    if blocker["since"]:
        since = datetime.fromisoformat(blocker["since"])
        details.append(f"its transaction began {since:%Y-%m-%d %H:%M:%S}Z")
    session = f"session {blocker['pid']}"
    return f"{session} ({', '.join(details)})" if details else session
