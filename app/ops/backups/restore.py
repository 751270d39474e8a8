"""Restore: a backup is restored beside the live database, examined there, and takes its place by a rename."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from app.db.direct import DirectConnection, direct_connection
from app.db.migrations import head_revision
from app.db.queries import swaps
from app.db.queries.swaps import Inside
from app.db.scratch import database_of
from app.db.workbench import Workbench
from app.domain.backups import BackupKeyMissing, BackupRefused, Manifest
from app.domain.errors import DatabaseUnavailable
from app.domain.events import EventName
from app.domain.maintenance import RestoreOptions
from app.domain.restores import RestoreRefused, RestoreUnderWay, Story, Why
from app.domain.runs import Outcome, Progress, part_of
from app.ops.backups.choice import Chosen, choose_from_catalog, choose_from_stores, find_whole_copy, require_trust
from app.ops.backups.copies import Copy
from app.ops.backups.examination import Examination, VerifyChain, examine
from app.ops.backups.legacy import News, carry_over
from app.ops.backups.scratch import Purpose, fill, require_room, scratch_database, scratch_name, sweep
from app.ops.backups.swap import Exchange, control_session, exchange, find_name, past_return, require_rights, to_its_end

UNREADABLE = (
    "The live database could not be read: whatever was revoked, disabled, suspended or changed since is as it was then;"
    " look through API keys, people and licenses."
)
CHECKED, FILLED, EXAMINED, CARRIED, SWAPPED = 10.0, 60.0, 92.0, 97.0, 99.0


@dataclass(frozen=True, slots=True)
class Site:
    """The cluster, and the live database; `inside` is None where that is missing or damaged."""

    control: DirectConnection
    control_url: str
    live: str
    is_there: bool
    inside: Inside | None
    comment: str | None

    @property
    def is_readable(self) -> bool:
        """Whether this release can read what is in the live database."""
        return self.inside is not None and self.inside.revision == head_revision()

    @property
    def is_empty(self) -> bool:
        """Whether the live database is one in which nothing is."""
        return self.inside is not None and self.inside.is_empty

    @property
    def losses(self) -> list[str]:
        """The warning that nothing can be carried over from a live database that held something."""
        if not self.is_there or self.is_readable or self.is_empty:
            return []
        return [UNREADABLE]


async def restore(bench: Workbench, options: RestoreOptions, *, verify_chain: VerifyChain) -> Outcome:
    """Put a backup in place of the live database, which is kept; whatever goes wrong before leaves that as it is."""
    ended: list[Outcome] = []
    with past_return(ended):
        async with opened_site(bench.direct_url) as site:
            chosen = await _choose(bench, site, options)
            await _require_fitting(bench, site, chosen, options)
            bench.tell(Progress(0.0, "checking", chosen.copy.manifest.file_name))
            whole = await asyncio.to_thread(find_whole_copy, chosen, bench.settings)
            await sweep(bench.direct_url, site.live, Purpose.RESTORE)
            name = scratch_name(site.live, Purpose.RESTORE, bench.run_id)
            async with scratch_database(bench.direct_url, name, site.inside.shape if site.inside else None) as url:
                await fill(url, whole.copy, whole.entries, part_of(bench.tell, CHECKED, FILLED))
                examination = await _examine(bench, url, chosen.copy.manifest, verify_chain)
                outcome = await _take_over(bench, site, whole.copy, (name, url), examination, options)
                ended.append(replace(outcome, warnings=(*whole.faults, *outcome.warnings)))
    return ended[0]


async def clean_up(bench: Workbench) -> None:
    """Drop what a restore left whose process was killed."""
    await sweep_restores(bench.direct_url)


async def sweep_restores(url: str) -> None:
    """Drop what restores into the database at this address have left, unless somebody restores, who does so."""
    with suppress(RestoreUnderWay):
        async with control_session(url):
            await sweep(url, database_of(url), Purpose.RESTORE)


@asynccontextmanager
async def opened_site(url: str) -> AsyncIterator[Site]:
    """The cluster of an address, on which nobody else restores meanwhile, and its live database."""
    live = database_of(url)
    async with control_session(url) as (control, control_url):
        is_there = await swaps.has_database(control, live)
        inside = await swaps.look_into(url) if is_there else None
        comment = await swaps.read_comment(control, live) if is_there else None
        yield Site(control, control_url, live, is_there, inside, comment)


async def _choose(bench: Workbench, site: Site, options: RestoreOptions) -> Chosen:
    if site.is_readable:
        return await choose_from_catalog(bench.database, bench.settings, options.backup)
    return await asyncio.to_thread(choose_from_stores, bench.settings, bench.vault, options.backup)


async def _require_fitting(bench: Workbench, site: Site, chosen: Chosen, options: RestoreOptions) -> None:
    """Everything that could be in the way and can be known beforehand."""
    await require_rights(site.control, site.live)
    _require_own_tables(site)
    nothing_to_lose = not site.is_there or site.is_empty
    require_trust(chosen, bench.vault, is_forced=options.force, nothing_to_lose=nothing_to_lose)
    await asyncio.to_thread(require_room, bench.settings, chosen.copy.manifest, "make room first")


def _require_own_tables(site: Site) -> None:
    if site.inside is not None and site.inside.other_owner is not None:
        owner = site.inside.other_owner
        raise RestoreRefused(
            f"The tables belong to {owner}, and what is restored would belong to the role of DATABASE_DIRECT_URL: let"
            f" DATABASE_DIRECT_URL name {owner}."
        )


async def _examine(bench: Workbench, url: str, manifest: Manifest, verify_chain: VerifyChain) -> Examination:
    examination = await examine(
        url,
        manifest,
        bench.vault,
        bench.now(),
        part_of(bench.tell, FILLED, EXAMINED),
        verify_chain=verify_chain,
        rested_share=0.0,
    )
    if not examination.is_good:
        if examination.is_key_missing:
            raise BackupKeyMissing
        faults = " ".join(check.detail for check in examination.faults)
        raise BackupRefused(f"What was restored is not what it should be, and was not used: {faults}")
    return examination


async def _take_over(
    bench: Workbench,
    site: Site,
    copy: Copy,
    incoming: tuple[str, str],
    examination: Examination,
    options: RestoreOptions,
) -> Outcome:
    """The last steps: what must go on is carried over, and the names are exchanged."""
    name, url = incoming
    manifest = copy.manifest
    away = await find_name(site.control, site.live, Why.RESTORED, bench.now())
    warnings = [*site.losses, *await _furnish(site, name, url)]
    bench.tell(Progress(EXAMINED, "carrying over"))
    data = {
        "fileName": manifest.file_name,
        "createdAt": manifest.created_at.isoformat(),
        "putAway": away,
        "runId": str(bench.run_id),
        "forced": options.force,
    }
    news = News(EventName.DATABASE_RESTORED, str(manifest.id), data)
    restored = (manifest, copy.store.name)
    warnings += await carry_over(bench, url, news, is_live_readable=site.is_readable, restored=restored)
    bench.tell(Progress(CARRIED, "swapping"))
    story = Story(site.live, Why.RESTORED, bench.now(), manifest.id, bench.run_id, site.comment)
    seconds = await exchange(bench, site.control, site.control_url, Exchange(site.live, name, away, story))
    bench.tell(Progress(SWAPPED, "finishing"))
    if away is not None and site.is_empty:
        with suppress(RestoreRefused, DatabaseUnavailable):
            await to_its_end(swaps.drop(site.control, away))
        away = None
    return Outcome(_result(manifest, away, seconds, examination), tuple(warnings))


async def _furnish(site: Site, name: str, url: str) -> list[str]:
    """What belongs to a database and is in no dump; what could not be given to the new one."""
    warnings = []
    async with direct_connection(url) as direct:
        for extension in site.inside.extensions if site.inside else ():
            problem = await swaps.create_extension(direct, extension)
            warnings += [problem] if problem else []
    if site.is_there:
        warnings += await swaps.copy_terms(site.control, site.live, name)
    return warnings


def _result(manifest: Manifest, away: str | None, seconds: float, examination: Examination) -> dict[str, Any]:
    return {
        "backup": str(manifest.id),
        "fileName": manifest.file_name,
        "createdAt": manifest.created_at.isoformat(),
        "rows": manifest.rows,
        "putAway": away,
        "swapSeconds": round(seconds, 3),
        "checks": examination.as_document(),
    }
