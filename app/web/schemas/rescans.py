"""What a rescan of the stores answers."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from app.web.schemas.base import Out


class RefusedOut(Out):
    """Something in a store that is not taken for a backup."""

    location: str
    reason: str


class RescanOut(Out):
    """What a rescan has changed in the catalog, and what it left alone."""

    found: list[UUID] = Field(description="Backups that the catalog did not have.")
    moved: list[UUID] = Field(description="Backups that are in other stores than the catalog said.")
    gone: list[UUID] = Field(description="Backups whose file is in no store any more; they are failed now.")
    known: int = Field(description="How many are where the catalog says.")
    refused: list[RefusedOut] = Field(description="What is not taken for a backup, and why.")
    problems: list[str] = Field(description="Stores that could not be looked at; nothing was changed about them.")
