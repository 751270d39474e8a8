"""Restores: what takes the live database's place, what is put away for it, and what must be fitting before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from app.domain.backups import PRODUCT
from app.domain.errors import Conflict, FieldError, Invalid, NotFound, Unavailable

LONGEST_NAME = 63
"""PostgreSQL cuts longer names."""


class ConfirmationMismatch(Invalid):
    """`confirm` is not the name of the database that this is about; type it exactly."""

    code = "CONFIRMATION_MISMATCH"

    def __init__(self, name: str) -> None:
        sentence = f"This replaces or drops a database: to confirm it, give its name, {name}."
        super().__init__(sentence, errors=(FieldError("confirm", sentence),), members={"database": name})


class RestoreRefused(Conflict):
    """The database can't be put in place of another as things stand; the message says what mends that."""

    code = "RESTORE_REFUSED"


class RestoreUnderWay(Conflict):
    """Another restore or rollback of this database is under way; wait for its end."""

    code = "RESTORE_UNDER_WAY"


class BackupUnproven(Conflict):
    """The backup was never restored on trial, or is not signed with our key: verify it, or restore it by force."""

    code = "BACKUP_UNPROVEN"


class SwapFailed(Unavailable):
    """The databases could not be exchanged, and everything is as before; try again in a quieter moment."""

    code = "SWAP_FAILED"


class PutAwayNotFound(NotFound):
    """There is no database of this name that a restore has put away."""

    code = "PUT_AWAY_DATABASE_NOT_FOUND"


class Why(StrEnum):
    """Why a database was put away: a backup took its place, or the one before came back."""

    RESTORED = "restored"
    ROLLED_BACK = "rolled_back"


_SUFFIXES = {Why.RESTORED: "before", Why.ROLLED_BACK: "undone"}


@dataclass(frozen=True, slots=True)
class Story:
    """What a database that was put away was, as it stands in its comment; `comment` is the one it had before.

    `backup` is what took its place, where that was one.
    """

    of: str
    why: Why
    since: datetime
    backup: UUID | None = None
    run: UUID | None = None
    comment: str | None = None

    def as_text(self) -> str:
        """The comment."""
        return json.dumps(
            {
                "product": PRODUCT,
                "database": self.of,
                "why": self.why,
                "since": self.since.astimezone(UTC).isoformat(),
                "backup": None if self.backup is None else str(self.backup),
                "run": None if self.run is None else str(self.run),
                "comment": self.comment,
            }
        )

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """The story in a comment; None when it holds none of ours."""
        try:
            told: Any = json.loads(text or "")
            if told["product"] != PRODUCT:
                return None
            return cls(
                of=str(told["database"]),
                why=Why(told["why"]),
                since=datetime.fromisoformat(told["since"]),
                backup=UUID(told["backup"]) if told["backup"] else None,
                run=UUID(told["run"]) if told["run"] else None,
                comment=told["comment"],
            )
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class PutAway:
    """A database that was put away; `bytes` is None where we may not look."""

    name: str
    bytes: int | None
    story: Story


def put_away_name(live: str, why: Why, now: datetime) -> str:
    """Under which name a database is put away."""
    suffix = f"_{_SUFFIXES[why]}_{now.astimezone(UTC):%Y%m%dt%H%M%S}"
    return cut_name(live, suffix)


def cut_name(live: str, suffix: str) -> str:
    """The name with the suffix, the former cut where both together are too long."""
    return live.encode()[: LONGEST_NAME - len(suffix)].decode(errors="ignore") + suffix


def pick(found: Sequence[PutAway], name: str | None) -> PutAway:
    """The one of this name, or the last one; raises PutAwayNotFound."""
    for one in found:
        if not name or name == one.name:
            return one
    raise PutAwayNotFound if name else PutAwayNotFound("No restore has put a database away that could come back.")


def require_confirmation(given: str, name: str) -> None:
    """Raise ConfirmationMismatch unless the database's name was typed."""
    if given != name:
        raise ConfirmationMismatch(name)
