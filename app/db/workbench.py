"""What the work of a run is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from app.db.direct import DirectConnection
from app.db.engine import Database
from app.domain.runs import Tell
from app.settings import Settings
from app.vault import Vault


@dataclass(frozen=True, slots=True)
class Workbench:
    """A session of the run's own, the pool beside it, settings, secrets, the clock, and where to tell how far it is.

    `direct` holds the lock that tells that the run lives: work that uses `database` alone looks at `direct.is_open`.
    """

    direct: DirectConnection
    database: Database
    settings: Settings
    vault: Vault
    now: Callable[[], datetime]
    tell: Tell
