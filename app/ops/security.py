"""The security summary: what happened in a window, who leads, and which validations are odd."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from uuid import UUID

from app.db.queries import security
from app.db.session import Session
from app.domain.security import Kind, KindSummary, Leader, SecuritySummary, Thresholds, Window

Leaders = Mapping[tuple[str | None, str | None], list[Leader]]


async def summarize(tx: Session, window: Window, thresholds: Thresholds) -> SecuritySummary:
    """Add up a window; raises WindowTooLarge when there is too much in it."""
    await security.limit_statements(tx)
    rows = await security.sum_events(tx, window)
    events = tuple(replace(leader, name=event) for event, _, _, leader in rows if event is not None)
    leaders: dict[tuple[str | None, str | None], list[Leader]] = {}
    for _, kind, subject, leader in (row for row in rows if row[0] is None):
        leaders.setdefault((kind, subject), []).append(leader)
    titles = await _find_titles(tx, leaders)
    return SecuritySummary(
        window=window,
        events=tuple(sorted(events, key=lambda leader: -leader.count)),
        kinds=tuple(_summary(kind, leaders, titles) for kind in Kind),
        thresholds=thresholds,
        odd_licenses=tuple(await security.find_odd_licenses(tx, window, thresholds)),
        key_guessers=tuple(await security.find_key_guessers(tx, window, thresholds)),
    )


def _summary(kind: Kind, leaders: Leaders, titles: Mapping[UUID, str]) -> KindSummary:
    def leading(subject: str) -> tuple[Leader, ...]:
        found = leaders.get((kind, subject), [])
        return tuple(replace(leader, title=titles.get(_id(leader.name) or UUID(int=0))) for leader in found)

    total = sum(leader.count for leader in leaders.get((kind, None), []))
    return KindSummary(kind, total, leading("address"), leading("account"), leading("license"))


async def _find_titles(tx: Session, leaders: Leaders) -> dict[UUID, str]:
    accounts = [leader.name for (_, subject), found in leaders.items() if subject == "account" for leader in found]
    licenses = [leader.name for (_, subject), found in leaders.items() if subject == "license" for leader in found]
    return await security.find_titles(
        tx,
        user_ids=_ids(name for name in accounts if name.startswith("user:")),
        api_key_ids=_ids(name for name in accounts if name.startswith("api_key:")),
        license_ids=_ids(licenses),
    )


def _ids(names: Iterable[str]) -> list[UUID]:
    return [found for found in map(_id, names) if found is not None]


def _id(name: str) -> UUID | None:
    """The id in `user:019a...` or `019a...`; None for an address."""
    try:
        return UUID(name.rpartition(":")[2])
    except ValueError:
        return None
