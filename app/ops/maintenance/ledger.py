"""The ledger of a run: what came of each table or index, what to warn of, and so how the run ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.runs import Outcome
from app.domain.upkeep import Action

MAX_ENTRIES = 1000
MAX_WARNINGS = 100

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """What came of one try: the entry, and a warning when it did not go well; a busy one is worth another try."""

    entry: Entry
    warning: str | None = None
    is_busy: bool = False


class Ledger:
    """Collects what came of everything."""

    def __init__(self) -> None:
        self._missed: list[Entry] = []
        self._done: list[Entry] = []
        self._left: list[Entry] = []
        self._warnings: list[str] = []

    def add(self, piece: Piece) -> None:
        """Write what came of something that was to be worked on."""
        is_missed = piece.entry["action"] in (Action.SKIPPED, Action.FAILED)
        (self._missed if is_missed else self._done).append(piece.entry)
        if piece.warning is not None:
            self._warnings.append(piece.warning)

    def leave(self, entry: Entry, warning: str | None = None) -> None:
        """Write what nothing was to be done to."""
        self._left.append(entry)
        if warning is not None:
            self._warnings.append(warning)

    def warn(self, sentence: str) -> None:
        """Write what an operator should look at."""
        self._warnings.append(sentence)

    def outcome(self, noun: str, **more: Any) -> Outcome:
        """What came of it all: failed when something was to be done and nothing could be.

        What could not be done comes first, then what was done, then what needed nothing: so much as can be listed.
        """
        entries = [*self._missed, *self._done, *self._left]
        result = {noun: entries[:MAX_ENTRIES], "unlisted": max(0, len(entries) - MAX_ENTRIES), **more}
        warnings = self._warnings[:MAX_WARNINGS]
        if len(self._warnings) > MAX_WARNINGS:
            warnings.append(f"... and {len(self._warnings) - MAX_WARNINGS} more")
        failure = None
        if self._missed and not self._done:
            first = self._warnings[0] if self._warnings else "see the result"
            failure = f"Nothing could be done to any of {len(self._missed)} {noun}: {first}"
        return Outcome(result, tuple(warnings), failure)
