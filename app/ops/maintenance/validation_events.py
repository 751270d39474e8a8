"""Old validation events: each day is archived whole, and then its partition is dropped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime

from app.db.brief import briefly
from app.db.queries import archives as records
from app.db.queries import legal_holds
from app.db.queries import validation_partitions as partitions
from app.db.queries.validation_partitions import DAY, Partition
from app.db.workbench import Workbench
from app.domain.archives import ArchiveFile
from app.domain.retention import Held, Holding, Kept, Kind, Pruned, Rule, start_of
from app.ops.maintenance import archives
from app.ops.maintenance.partitions import arrange

DROP_ATTEMPTS = 10

TellPart = Callable[[float, str], None]
"""Told which share of a kind is done, and at what it is."""


async def prune_validation_events(bench: Workbench, rule: Rule, *, is_dry: bool, tell: TellPart) -> Pruned:
    """Archive and drop the partitions of days that ended too long ago; what can't go is told, and the rest goes on."""
    pruned = Pruned(rule)
    cutoff = rule.cutoff(bench.now())
    if cutoff is None:
        return pruned
    if (await legal_holds.read_holding(bench.direct)).is_whole:
        pruned.skip("a legal hold keeps everything of the whole installation", is_wished=True)
        return pruned
    await _look_at_default(bench, pruned, start_of(cutoff.date()), is_dry=is_dry)
    found = await partitions.list_partitions(bench.direct)
    old = [partition for partition in found if start_of(partition.day) + DAY <= cutoff]
    for number, partition in enumerate(old):
        tell(number / len(old), partition.name)
        try:
            await _prune_day(bench, pruned, partition, is_dry=is_dry)
        except Held as error:
            pruned.skip(f"{partition.name}: {error}", is_wished=True)
        except Kept as error:
            pruned.skip(f"{partition.name}: {error}")
    return pruned


async def _look_at_default(bench: Workbench, pruned: Pruned, before: datetime, *, is_dry: bool) -> None:
    """Old rows of the default partition go with their day, so each day gets its partition first."""
    if not is_dry:
        try:
            await arrange(bench.direct, now=bench.now())
        except Kept as error:
            pruned.skip(f"the default partition: {error}")
    rows = await partitions.count_in_default(bench.direct, before)
    if rows and is_dry:
        pruned.rows += rows
    elif rows:
        pruned.skip(f"{rows} old rows of the default partition have no partition of their day yet")


async def _prune_day(bench: Workbench, pruned: Pruned, partition: Partition, *, is_dry: bool) -> None:
    holding = await legal_holds.read_holding(bench.direct)
    await _require_not_held(bench, partition, holding)
    if is_dry:
        rows = await partitions.count_rows(bench.direct, partition)
    else:
        archive = await _archive(bench, partition)
        try:
            await briefly(bench.direct, lambda: _drop(bench, partition, archive), attempts=2)
        except Kept:
            archives.discard(bench.settings.archive_dir, archive)
            raise
        rows = archive.rows
        if rows:
            pruned.archives.append(archive.file_name)
        else:
            archives.discard(bench.settings.archive_dir, archive)
    pruned.rows += rows
    pruned.partitions += 1
    pruned.bytes += partition.bytes


async def _archive(bench: Workbench, partition: Partition) -> ArchiveFile:
    since = start_of(partition.day)
    async with archives.new_archive(bench.settings.archive_dir, partition.name, now=bench.now()) as writer:
        # Closed at once when this is cancelled: a copy that is left open keeps the connection busy.
        async with aclosing(partitions.copy_rows(bench.direct, partition)) as lines:
            async for line in lines:
                await writer.add(line)
        return await writer.finish(Kind.VALIDATION_EVENTS, partition.name, since=since, until=since + DAY)


async def _drop(bench: Workbench, partition: Partition, archive: ArchiveFile) -> None:
    """Drop a day unless it is held, or is not what was archived, by now; recorded in the same transaction."""
    direct = bench.direct
    await legal_holds.keep_holds_still(direct)
    await _require_not_held(bench, partition, await legal_holds.read_holding(direct))
    rows = await partitions.lock_and_count(direct, partition)
    if rows != archive.rows:
        raise Kept(f"it has {rows} rows, and {archive.rows} were archived; the next run archives it anew")
    if rows:
        await records.record_archive(direct, archive)
    await briefly(direct, lambda: partitions.drop_partition(direct, partition), attempts=DROP_ATTEMPTS)


async def _require_not_held(bench: Workbench, partition: Partition, holding: Holding) -> None:
    if holding.is_whole:
        raise Held("a legal hold keeps everything of the whole installation")
    name = await partitions.find_held_organization(bench.direct, partition, holding.organization_ids)
    if name is not None:
        raise Held(f"a legal hold on {name}, of which it has rows, keeps it")
