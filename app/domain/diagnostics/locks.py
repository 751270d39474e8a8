"""Locks: who waits for whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from app.domain.diagnostics.answers import Answer, unavailable
from app.domain.findings import Finding, Level
from app.domain.words import duration_in_words

WARNING_SECONDS = 5.0
BAD_SECONDS = 60.0
PREPARED = 0
"""The process id of what no session holds: a prepared transaction."""


@dataclass(frozen=True, slots=True)
class LockedSession:
    """A session that waits for a lock, or that others wait for; `depth` 0 waits for nobody.

    What follows it with a greater depth waits for it. `action` ends what it does, at the root of the tree.
    """

    pid: int
    blocked_by: tuple[int, ...]
    depth: int
    user_name: str | None
    application: str | None
    state: str | None
    waits_for: str | None
    waiting_since: datetime | None
    waiting_seconds: float | None
    transaction_since: datetime | None
    statement: str | None
    action: str | None


def arrange(sessions: Iterable[LockedSession]) -> tuple[LockedSession, ...]:
    """The sessions as a tree: whoever blocks stands before whom it blocks, and each stands once."""
    by_pid = {one.pid: one for one in sessions}
    children: dict[int, list[int]] = {}
    roots = []
    for one in sorted(by_pid.values(), key=lambda one: (-(one.waiting_seconds or 0), one.pid)):
        blocker = next((pid for pid in one.blocked_by if pid in by_pid), None)
        roots.append(one.pid) if blocker is None else children.setdefault(blocker, []).append(one.pid)
    placed: dict[int, LockedSession] = {}
    for start in [*roots, *by_pid]:  # sessions that wait in a circle have no root
        stack = [(start, 0)]
        while stack:
            pid, depth = stack.pop()
            if pid not in placed:
                placed[pid] = replace(by_pid[pid], depth=depth, action=None if depth else action_of(by_pid[pid]))
                stack += [(child, depth + 1) for child in reversed(children.get(pid, []))]
    return tuple(placed.values())


def action_of(session: LockedSession) -> str:
    """What ends the session's hold: cancelling does nothing to one that is idle in its transaction."""
    if session.pid == PREPARED:
        return "license-server database transactions"
    function = "pg_terminate_backend" if (session.state or "").startswith("idle") else "pg_cancel_backend"
    return f"SELECT {function}({session.pid});"


def judge(answer: Answer[LockedSession]) -> list[Finding]:
    """Whether somebody waits for a lock for long."""
    waiting = [one for one in answer.items if (one.waiting_seconds or 0) >= WARNING_SECONDS]
    if not waiting:
        return unavailable("locks", answer) or [Finding("locks", Level.GOOD, "Nobody waits long for a lock.")]
    longest = max(one.waiting_seconds or 0 for one in waiting)
    root = next((one for one in answer.items if one.depth == 0), answer.items[0])
    sentence = f"{len(waiting)} sessions wait for a lock, for up to {duration_in_words(longest)}; {root.pid} is first."
    return [Finding("locks", Level.BAD if longest >= BAD_SECONDS else Level.WARNING, sentence, root.action)]
