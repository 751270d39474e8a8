"""What is told of backups: the sections of reports about them, and what the doctor says."""

from __future__ import annotations

import asyncio
from datetime import datetime

from app.db.engine import Database, connector
from app.db.queries.backup_evidence import find_backup_evidence
from app.domain.backup_evidence import (
    BackupEvidence,
    BackupFacts,
    Places,
    judge_last_backup,
    judge_places,
    judge_retention,
    judge_room,
    judge_sizes,
    judge_slots,
    judge_verification,
    where_is,
)
from app.domain.findings import Finding
from app.domain.reports import Row, Section, SectionName, Table
from app.domain.run_evidence import RunEvidence, judge_runs
from app.domain.words import ByteCount
from app.ops.backups.expiry import policy_of
from app.ops.installation import free_bytes, shares_disk
from app.ops.overview.inquiry import Inquiry
from app.settings import Settings

SHOWN = 10
CONNECTIONS = 1


async def look_at_backups(inquiry: Inquiry) -> Section:
    """The last backups: age, failures, size, copies, what is kept, and when the next one comes."""
    evidence = await _find_evidence(inquiry.database, inquiry.settings, inquiry.now)
    places = await asyncio.to_thread(_places, inquiry.settings)
    findings = [
        *judge_last_backup(evidence, inquiry.now),
        *judge_sizes(evidence),
        *judge_places(evidence, places),
        judge_retention(evidence),
        *judge_slots(evidence),
    ]
    rows = tuple(_row(one) for one in evidence.recent[:SHOWN])
    return Section(SectionName.BACKUPS, tuple(findings), (Table("Last backups", rows),))


async def look_at_restore_test(inquiry: Inquiry) -> Section:
    """When a backup was last restored on trial, how long that took, and the last drill."""
    evidence = await _find_evidence(inquiry.database, inquiry.settings, inquiry.now)
    findings = [*judge_verification(evidence, inquiry.now), judge_runs(evidence.drills, inquiry.now)]
    trials = tuple(
        {
            "verified_at": one.verified_at,
            "backup_of": one.created_at,
            "tool": one.tool,
            "size": None if one.bytes is None else ByteCount(one.bytes),
            "recovery_seconds": _seconds(one.recovery_seconds),
        }
        for one in sorted(evidence.recent, key=_verified_at, reverse=True)
        if one.verified_at is not None
    )
    tables = (Table("Last restores on trial", trials[:SHOWN]), Table("Last drills", _drill_rows(evidence.drills)))
    return Section(SectionName.RESTORE_TEST, tuple(findings), tables)


async def check_backups(settings: Settings, url: str, now: datetime) -> list[Finding]:
    """What the doctor says of the backups of a database whose schema is this release's."""
    database = Database(url, pool_size=CONNECTIONS, connect=connector(settings))
    try:
        evidence = await _find_evidence(database, settings, now)
    finally:
        await database.close()
    places = await asyncio.to_thread(_places, settings)
    free = await asyncio.to_thread(free_bytes, settings.backup_dir)
    return [
        *judge_last_backup(evidence, now),
        *judge_verification(evidence, now),
        judge_runs(evidence.drills, now),
        *judge_places(evidence, places),
        *judge_room(evidence, free),
    ]


async def _find_evidence(database: Database, settings: Settings, now: datetime) -> BackupEvidence:
    async with database.transaction() as tx:
        return await find_backup_evidence(tx, policy=policy_of(settings), now=now)


def _places(settings: Settings) -> Places:
    """Asks the system which disks the folders lie on."""
    return Places(
        copies_to_s3=settings.backup_s3_url is not None,
        encrypts=bool(settings.backup_keys()),
        shares_disk=settings.database_url is None and shares_disk(settings.data_dir, settings.backup_dir),
    )


def _row(one: BackupFacts) -> Row:
    return {
        "created_at": one.created_at,
        "status": f"{one.status}, pinned" if one.is_pinned else one.status,
        "tool": one.tool,
        "size": None if one.bytes is None else ByteCount(one.bytes),
        "where": where_is(one.stores) if one.is_ours and one.is_usable else None,
        "verified_at": one.verified_at,
        "failure": one.failure,
    }


def _drill_rows(evidence: RunEvidence) -> tuple[Row, ...]:
    return tuple(
        {
            "finished_at": run.finished_at,
            "status": run.status,
            "recovery_seconds": _seconds(run.result.get("recoverySeconds")),
            "data_loss_seconds": _seconds(run.result.get("dataLossSeconds")),
            "gaps": len(run.result.get("gaps") or ()),
            "failure": run.failure,
        }
        for run in evidence.runs
    )


def _seconds(measured: float | None) -> float | None:
    return None if measured is None else round(measured, 1)


def _verified_at(one: BackupFacts) -> float:
    return 0.0 if one.verified_at is None else one.verified_at.timestamp()
