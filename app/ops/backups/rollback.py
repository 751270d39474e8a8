"""Rollback: a database that was put away takes the live one's place again, which is put away for it."""

from __future__ import annotations

import asyncio

from app.db.direct import direct_connection
from app.db.migrations import head_revision, is_known, migrate
from app.db.queries import swaps
from app.db.scratch import address_of
from app.db.workbench import Workbench
from app.domain.backups import BackupKeyMissing, BackupTooNew
from app.domain.events import EventName
from app.domain.maintenance import RollbackOptions
from app.domain.restores import PutAway, RestoreRefused, Story, Why, pick
from app.domain.runs import Outcome, Progress
from app.ops.backups.examination import find_foreign
from app.ops.backups.legacy import News, carry_over
from app.ops.backups.restore import Site, opened_site
from app.ops.backups.swap import Exchange, exchange, find_name, past_return, require_rights


async def rollback(bench: Workbench, options: RollbackOptions) -> Outcome:
    """Take a restore back, or a rollback: nothing is dropped, so that this can be taken back as well."""
    ended: list[Outcome] = []
    with past_return(ended):
        async with opened_site(bench.direct_url) as site:
            chosen = pick(await swaps.read_put_away(site.control, site.live), options.database)
            await require_rights(site.control, site.live)
            await require_rights(site.control, chosen.name)
            url = address_of(bench.direct_url, chosen.name)
            bench.tell(Progress(10.0, "preparing", chosen.name))
            await _bring_to_head(url, chosen)
            await _require_our_keys(bench, url, chosen)
            away = await find_name(site.control, site.live, Why.ROLLED_BACK, bench.now())
            ended.append(await _take_over(bench, site, chosen, away))
    return ended[0]


async def _bring_to_head(url: str, chosen: PutAway) -> None:
    """An older schema is brought to this release's; raises BackupTooNew for a newer one."""
    inside = await swaps.look_into(url)
    if inside is None:
        raise RestoreRefused(f"{chosen.name} can't be opened, so it does not come back.")
    revision = inside.revision
    if revision is None:
        raise RestoreRefused(f"{chosen.name} holds no license server's tables, so it does not come back.")
    if not is_known(revision):
        raise BackupTooNew(f"The schema of {chosen.name}, {revision}, is of a newer release: update the server first.")
    if revision != head_revision():
        await asyncio.to_thread(migrate, url)


async def _require_our_keys(bench: Workbench, url: str, chosen: PutAway) -> None:
    """Keys may have been rotated since it was put away, and the old ones taken out of the settings."""
    async with direct_connection(url) as direct:
        with direct.translated():
            foreign, _ = await find_foreign(direct, bench.vault)
    if foreign is not None:
        raise BackupKeyMissing(
            f"{foreign} of {chosen.name} was encrypted with another key than this server has: add that key to"
            " ENCRYPTION_KEY."
        )


async def _take_over(bench: Workbench, site: Site, chosen: PutAway, away: str | None) -> Outcome:
    data = {"putAway": away, "since": chosen.story.since.isoformat(), "runId": str(bench.run_id)}
    news = News(EventName.DATABASE_ROLLED_BACK, chosen.name, data)
    url = address_of(bench.direct_url, chosen.name)
    bench.tell(Progress(60.0, "carrying over"))
    warnings = await carry_over(bench, url, news, is_live_readable=site.is_readable, restored=None)
    bench.tell(Progress(90.0, "swapping"))
    story = Story(site.live, Why.ROLLED_BACK, bench.now(), chosen.story.backup, bench.run_id, site.comment)
    wanted = Exchange(site.live, chosen.name, away, story)
    seconds = await exchange(bench, site.control, site.control_url, wanted)
    bench.tell(Progress(99.0, "finishing"))
    result = {"database": chosen.name, "putAway": away, "swapSeconds": round(seconds, 3)}
    return Outcome(result, (*site.losses, *warnings))
