"""Restores in JSON, and the wishes about them."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.domain.restores import PutAway, Why
from app.web.schemas.base import Out, OutMoment, Wish

DatabaseName = Annotated[str, StringConstraints(min_length=1, max_length=63)]


class Restore(Wish):
    """`confirm` is the name of the live database; `force` takes a backup that nothing has proven."""

    confirm: DatabaseName = Field(description="The name of the live database: nothing is replaced by mistake.")
    force: bool = Field(False, description="Take a backup that was never verified, or is not signed with our key.")


class RollBack(Wish):
    """`confirm` is the name of the live database; the last one that was put away comes back when none is named."""

    confirm: DatabaseName = Field(description="The name of the live database: nothing is replaced by mistake.")
    database: DatabaseName | None = Field(None, description="A name from GET /admin/restores.")


class PutAwayOut(Out):
    """A database that was put away; `backup` took its place, where that was one."""

    name: str
    bytes: int | None
    why: Why
    since: OutMoment
    backup: UUID | None
    run: UUID | None

    @classmethod
    def of(cls, one: PutAway) -> Self:
        """As answers show it."""
        story = one.story
        return cls(name=one.name, bytes=one.bytes, why=story.why, since=story.since, backup=story.backup, run=story.run)


class PutAwayList(Out):
    """All databases that restores have put away."""

    items: list[PutAwayOut]
