"""Sections about the upkeep of the database: runs, growth, statements, performance, capacity."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta

from app.db.queries import reports, samples
from app.db.queries.run_evidence import find_run_evidence
from app.db.queries.security import limit_statements
from app.db.session import Session
from app.domain.diagnostics.connections import judge as judge_connections
from app.domain.errors import WindowTooLarge
from app.domain.findings import Finding, Level
from app.domain.reports import Row, Section, SectionName, Table
from app.domain.retention import remarkable_rows
from app.domain.run_evidence import RunEvidence, judge_runs
from app.domain.runs import RunKind
from app.domain.samples import (
    StatementChange,
    compare_statements,
    judge_growth,
    judge_size,
)
from app.domain.words import ByteCount, number_of
from app.ops.diagnostics import connections
from app.ops.installation import free_bytes
from app.ops.overview.inquiry import Inquiry

WEEK = timedelta(days=7)
TREND = timedelta(days=30)
SHOWN_ROWS = 10
SHOWN_RUNS = 5
SHOWN_LETTERS = 160
VOLUME_SECONDS = 4
NO_STATISTICS = (
    "There are no samples of statements: pg_stat_statements is not in use, or the server runs for less than a day."
)


async def look_at_vacuum(inquiry: Inquiry) -> Section:
    """The last vacuum runs."""
    return _section_of(SectionName.VACUUM, await _find_evidence(inquiry, RunKind.VACUUM), inquiry)


async def look_at_prune(inquiry: Inquiry) -> Section:
    """The last runs that archived and pruned, and what the last of them did."""
    evidence = await _find_evidence(inquiry, RunKind.PRUNE)
    last = evidence.runs[0] if evidence.runs else None
    done = Table("What the last one did", remarkable_rows(last.result) if last else ())
    return _section_of(SectionName.PRUNE, evidence, inquiry, done)


async def look_at_reindex(inquiry: Inquiry) -> Section:
    """The last runs that looked which indexes need to be rebuilt."""
    return _section_of(SectionName.REINDEX, await _find_evidence(inquiry, RunKind.REINDEX), inquiry)


async def look_at_slow_queries(inquiry: Inquiry) -> Section:
    """What statements cost in the last seven days, and which take longer than before."""
    today = inquiry.now.date()
    async with inquiry.database.transaction() as tx:
        later = await samples.find_statement_day(tx, today)
        earlier = await samples.find_statement_day(tx, today - WEEK)
        if later is None or earlier is None or later == earlier:
            return Section(SectionName.SLOW_QUERIES, (_nothing_to_compare(later),))
        changes = await _changes(tx, earlier, later)
    slower = [one for one in changes if one.is_slower]
    if slower:
        sentence = f"{number_of(len(slower), 'statement')} at least twice as slow as before {earlier}."
        finding = Finding("slow_queries", Level.WARNING, sentence, "license-server database slow-queries")
    else:
        finding = Finding("slow_queries", Level.GOOD, f"No statement became twice as slow since {earlier}.")
    tables = (_statement_table("Slower than before", slower), _statement_table("Costliest of the week", changes))
    return Section(SectionName.SLOW_QUERIES, (finding,), tables)


async def look_at_growth(inquiry: Inquiry) -> Section:
    """The size of the database with the date on which it reaches its limit, and the tables that grew most."""
    since = min(inquiry.window.since, inquiry.now - TREND).date()
    async with inquiry.database.transaction() as tx:
        found = await samples.list_sizes(tx, since=since)
    by_subject: dict[str, dict[date, int]] = {}
    for one in found:
        by_subject.setdefault(one.subject, {})[one.day] = one.bytes
    sizes = by_subject.pop(samples.WHOLE_DATABASE, {})
    if not sizes:
        sentence = "There are no samples of sizes yet; the server takes one a day."
        return Section(SectionName.GROWTH, (Finding("database_size", Level.UNAVAILABLE, sentence),))
    size = ByteCount(sizes[max(sizes)])
    limit = await _limit(inquiry, size)
    finding = judge_size(size, judge_growth(sizes, limit), limit, inquiry.now.date())
    return Section(SectionName.GROWTH, (finding,), (_growth_table(by_subject, inquiry.window.since.date()),))


async def look_at_performance(inquiry: Inquiry) -> Section:
    """The costliest statements of the window, and the validations of each day of the last week."""
    async with inquiry.database.transaction() as tx:
        later = await samples.find_statement_day(tx, inquiry.now.date())
        earlier = await samples.find_first_statement_day(tx, inquiry.window.since.date())
        changes = [] if later is None or earlier is None else await _changes(tx, earlier, later)
    if changes:
        sentence = f"The costliest of {number_of(len(changes), 'statement')} since {earlier} are below."
        statements = Finding("statements", Level.GOOD, sentence)
    else:
        statements = _nothing_to_compare(later)
    volumes, table = await _volumes(inquiry)
    return Section(SectionName.PERFORMANCE, (statements, volumes), (_statement_table("Statements", changes), table))


async def look_at_capacity(inquiry: Inquiry) -> Section:
    """How much there is of everything, and how many connections are left."""
    async with inquiry.database.transaction() as tx:
        installed = await reports.count_installation(tx)
    findings = judge_connections(await connections.look(inquiry.database))
    return Section(SectionName.CAPACITY, tuple(findings), (Table("What there is", (asdict(installed),)),))


async def _find_evidence(inquiry: Inquiry, kind: RunKind) -> RunEvidence:
    async with inquiry.database.transaction() as tx:
        return await find_run_evidence(tx, kind, limit=SHOWN_RUNS)


def _section_of(name: SectionName, evidence: RunEvidence, inquiry: Inquiry, *more: Table) -> Section:
    rows = tuple(
        {
            "finished_at": run.finished_at,
            "status": run.status,
            "started_by": run.trigger,
            "warnings": run.warning_count,
            "failure": run.failure,
        }
        for run in evidence.runs
    )
    return Section(name, (judge_runs(evidence, inquiry.now),), (Table("Last runs", rows), *more))


async def _changes(tx: Session, earlier: date, later: date) -> list[StatementChange]:
    return compare_statements(await samples.list_statements(tx, earlier), await samples.list_statements(tx, later))


def _nothing_to_compare(later: date | None) -> Finding:
    """What is said when there are not two samples, the newer one of this day."""
    if later is None:
        action = "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"
        return Finding("statements", Level.UNAVAILABLE, NO_STATISTICS, action)
    return Finding("statements", Level.UNAVAILABLE, "There is no older sample of statements to compare with yet.")


def _statement_table(title: str, changes: Sequence[StatementChange]) -> Table:
    rows: tuple[Row, ...] = tuple(
        {
            "calls": one.calls,
            "total_ms": round(one.total_milliseconds, 1),
            "ms_a_call": round(one.milliseconds, 2),
            "before": None if one.milliseconds_before is None else round(one.milliseconds_before, 2),
            "statement": one.query[:SHOWN_LETTERS],
        }
        for one in changes[:SHOWN_ROWS]
    )
    return Table(title, rows)


async def _limit(inquiry: Inquiry, size: ByteCount) -> ByteCount | None:
    """The limit that is set; of an embedded database what fits on its disk; None when nobody knows."""
    if inquiry.settings.database_size_limit is not None:
        return ByteCount(inquiry.settings.database_size_limit)
    if inquiry.settings.database_url is not None:
        return None
    return ByteCount(size + await asyncio.to_thread(free_bytes, inquiry.settings.data_dir))


def _growth_table(by_subject: Mapping[str, Mapping[date, int]], since: date) -> Table:
    """The tables that grew most since a day; one that is new since then grew by all that it has."""
    days = {day for sizes in by_subject.values() for day in sizes}
    newest = max(days, default=since)
    first = min((day for day in days if day >= since), default=newest)
    grown = [
        (sizes[newest] - sizes.get(first, 0), sizes[newest], name)
        for name, sizes in by_subject.items()
        if newest in sizes
    ]
    grown.sort(key=lambda one: (-one[0], -one[1], one[2]))
    rows: tuple[Row, ...] = tuple(
        {"table": name, "size": ByteCount(size), "growth": ByteCount(growth)}
        for growth, size, name in grown[:SHOWN_ROWS]
    )
    return Table("Tables that grew most", rows)


async def _volumes(inquiry: Inquiry) -> tuple[Finding, Table]:
    since = inquiry.now - WEEK
    try:
        async with inquiry.database.transaction() as tx:
            await limit_statements(tx, VOLUME_SECONDS)
            volumes = await reports.sum_validations(tx, since, inquiry.now)
    except WindowTooLarge:
        sentence = "The validations of the last seven days are too many to count here; /metrics counts them."
        return Finding("validations", Level.UNAVAILABLE, sentence), Table("Validations", ())
    count = sum(one.validations for one in volumes)
    refused = sum(one.refused for one in volumes)
    finding = Finding("validations", Level.GOOD, f"{count} validations in the last seven days, {refused} refused.")
    rows: tuple[Row, ...] = tuple(
        {"day": one.day, "validations": one.validations, "refused": one.refused} for one in volumes
    )
    return finding, Table("Validations by day", rows)
