"""Security events of the last seconds, counted in memory until a job stores them; a flood never makes it grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from app.db.queries import security_events
from app.db.session import Session
from app.domain.addresses import neighbourhood
from app.domain.security import EventKey

MAX_KEYS = 10_000


class SecurityTally:
    """Counts events by minute, address, account and license.

    Beyond `max_keys` addresses are counted together, beyond twice as many accounts and licenses too, and beyond three
    times as many (a flood while the database is away) nothing more is kept here: the log and the counters have it.
    """

    def __init__(self, clock: Callable[[], datetime], *, max_keys: int = MAX_KEYS) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._counts: Counter[EventKey] = Counter()

    def add(self, event: str, ip: str | None, fields: Mapping[str, object]) -> None:
        """Count one event; takes what `security_log` gives to its listeners."""
        minute = self._clock().replace(second=0, microsecond=0)
        address = None if ip is None else neighbourhood(ip)
        license_id = fields.get("license_id")
        key = EventKey(minute, event, address, _account(fields), license_id if isinstance(license_id, UUID) else None)
        self._count(key, 1)

    def take(self) -> Counter[EventKey]:
        """Everything counted since the last time; it is the taker's now."""
        taken, self._counts = self._counts, Counter()
        return taken

    def give_back(self, counts: Counter[EventKey]) -> None:
        """Count again what could not be stored."""
        for key, count in counts.items():
            self._count(key, count)

    def _count(self, key: EventKey, count: int) -> None:
        for allowed, coarser in (
            (self._max_keys, key),
            (2 * self._max_keys, EventKey(key.minute, key.event, None, key.account, key.license_id)),
            (3 * self._max_keys, EventKey(key.minute, key.event, None, None, None)),
        ):
            if coarser in self._counts or len(self._counts) < allowed:
                self._counts[coarser] += count
                return


async def store(tx: Session, counts: Counter[EventKey]) -> None:
    """Append the counts in one statement."""
    await security_events.append_event_counts(tx, counts)


async def forget(tx: Session, before: datetime, *, limit: int) -> int:
    """Delete up to so many counts that are older; how many they were."""
    return await security_events.delete_event_counts(tx, before, limit=limit)


def _account(fields: Mapping[str, object]) -> str | None:
    """Who the event is about: a user or an API key, `user:...` or `api_key:...`."""
    for kind in ("user", "api_key"):
        if fields.get(f"{kind}_id") is not None:
            return f"{kind}:{fields[f'{kind}_id']}"
    if fields.get("caller_id") is not None:
        return f"{fields.get('caller_kind')}:{fields['caller_id']}"
    return None
