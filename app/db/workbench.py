"""What the work of a run is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.db.direct import DirectConnection
from app.db.engine import Database
from app.domain.permissions import Principal
from app.domain.runs import Tell
from app.settings import Settings
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Workbench:
    """A session of the run's own, the pool beside it, settings, secrets, the clock, and where to tell how far it is.

    `direct` holds the lock that tells that the run lives: work that uses `database` alone looks at `direct.is_open`.
    `asker` is who wanted the run.
    """

    direct: DirectConnection
    database: Database
    settings: Settings
    vault: Vault
    now: Callable[[], datetime]
    tell: Tell
    run_id: UUID
    asker: Principal

    @property
    def direct_url(self) -> str:
        """The address of the run's own session."""
        return self.settings.direct_url(self.database.url)
