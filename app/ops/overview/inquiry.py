"""What each section of a report is given to find out what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.db.engine import Database
from app.db.lane import Lane
from app.domain.security import Window
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Installation:
    """What is looked at; `head_revision` is the schema that this release needs."""

    settings: Settings
    database: Database
    probe_lane: Lane
    head_revision: str


@dataclass(frozen=True, slots=True)
class Inquiry:
    """An installation, and the window of the report."""

    installation: Installation
    window: Window

    @property
    def database(self) -> Database:
        """The pool."""
        return self.installation.database

    @property
    def settings(self) -> Settings:
        """What is set."""
        return self.installation.settings

    @property
    def now(self) -> datetime:
        """The moment of the report, which is the end of its window."""
        return self.window.until
