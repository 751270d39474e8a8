"""Commands that tell what the database is like: one question, one command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Annotated, Any

import typer

from app.cli.context import AsJson, run_long
from app.cli.findings import show_findings, show_overall
from app.cli.output import console, in_words, print_json, show_table
from app.domain.diagnostics.answers import DEFAULT_ITEMS, MAX_ITEMS, Answer, Status
from app.domain.diagnostics.indexes import UnusedIndexes
from app.domain.findings import Finding, worst
from app.domain.words import ByteCount, camel_case
from app.ops.diagnostics import (
    bloat,
    connections,
    foreign_keys,
    indexes,
    invalid_objects,
    locks,
    replication,
    sequences,
    statements,
    tables,
    transactions,
    vacuum,
    wraparound,
)
from app.ops.diagnostics.examination import examine
from app.runtime import Runtime
from app.telemetry.values import printable

app = typer.Typer(no_args_is_help=True, help="What the database is like: load, size, bloat, locks, upkeep.")

Limit = Annotated[int, typer.Option(min=1, max=MAX_ITEMS, help="How many items at most.")]
Look = Callable[[Runtime], Awaitable[Answer[Any]]]

SHOWN_LENGTH = 120
"""So many characters of a statement are told in a table; the JSON has more."""

NARROW = {
    "longest": ("pid", "application", "state", "seconds", "waits_for", "statement"),
    "tables": ("table_name", "rows_estimate", "toast_bytes", "index_bytes", "total_bytes", "growth_bytes_per_day"),
    "indexes": ("table_name", "index_name", "scans", "last_scan_at", "bytes"),
    "slow-queries": ("calls", "total_milliseconds", "mean_milliseconds", "max_milliseconds", "statement"),
    "unused-indexes": ("index_name", "table_name", "bytes", "action"),
    "duplicate-indexes": ("index_name", "kind", "covered_by", "scans", "covering_scans", "bytes", "action"),
    "bloat": ("name", "kind", "bytes", "bloat_bytes", "bloat_share", "method"),
    "locks": ("depth", "pid", "blocked_by", "state", "waits_for", "waiting_seconds", "statement", "action"),
    "transactions": ("pid", "prepared_name", "application", "state", "seconds", "statement", "action"),
    "wraparound": ("kind", "name", "xid_age", "multixact_age", "share"),
    "sequences": ("sequence_name", "column", "last_value", "limit", "used_share"),
    "foreign-keys": ("table_name", "columns", "referenced_table", "table_bytes", "action"),
    "vacuum": (
        "table_name",
        "dead_rows",
        "vacuum_threshold",
        "share",
        "is_autovacuum_on",
        "last_vacuum_at",
        "last_autovacuum_at",
    ),
}
"""The columns that fit a terminal; the others are in the JSON."""


@app.command("overview")
def overview(as_json: AsJson = False) -> None:
    """Examine the database: what is good, what should be looked at, and the command that mends it."""

    async def work(runtime: Runtime) -> tuple[list[Finding], datetime]:
        now = runtime.now()
        return await examine(runtime.database, now=now), now

    findings, now = run_long(work)
    if as_json:
        print_json({"level": worst(findings), "findings": [_document(one) for one in findings], "examinedAt": now})
        return
    show_findings(findings, as_json=False)
    show_overall(findings)


@app.command("connections")
def sessions(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show the pool of this process, and sessions by application and state."""
    _tell("connections", lambda runtime: connections.look(runtime.database, limit=limit), as_json=as_json)


@app.command("slow-queries")
def slow_queries(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show the statements that cost most altogether."""
    _tell("slow-queries", lambda runtime: statements.look(runtime.database, limit=limit), as_json=as_json)


@app.command("tables")
def table_sizes(
    partitions: Annotated[bool, typer.Option("--partitions", help="Each partition by itself.")] = False,
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show tables by size, with their growth."""
    _tell(
        "tables",
        lambda runtime: tables.look(
            runtime.database, today=runtime.now().date(), each_partition=partitions, limit=limit
        ),
        as_json=as_json,
    )


@app.command("indexes")
def index_use(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show how indexes are used."""
    _tell("indexes", lambda runtime: indexes.look(runtime.database, limit=limit), as_json=as_json)


@app.command("unused-indexes")
def unused_indexes(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show indexes that nobody reads."""
    _tell(
        "unused-indexes",
        lambda runtime: indexes.look_for_unused(runtime.database, now=runtime.now(), limit=limit),
        as_json=as_json,
    )


@app.command("duplicate-indexes")
def duplicate_indexes(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show indexes that another one makes superfluous."""
    _tell(
        "duplicate-indexes", lambda runtime: indexes.look_for_duplicates(runtime.database, limit=limit), as_json=as_json
    )


@app.command("bloat")
def spare_room(
    exact: Annotated[bool, typer.Option("--exact", help="Measure with pgstattuple.")] = False,
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show the room in tables and indexes that holds nothing."""
    _tell(
        "bloat",
        lambda runtime: (bloat.measure if exact else bloat.look)(runtime.database, limit=limit),
        as_json=as_json,
    )


@app.command("locks")
def lock_waits(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show who waits for whom."""
    _tell("locks", lambda runtime: locks.look(runtime.database, limit=limit), as_json=as_json)


@app.command("transactions")
def open_transactions(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show open transactions, the oldest first."""
    _tell("transactions", lambda runtime: transactions.look(runtime.database, limit=limit), as_json=as_json)


@app.command("wraparound")
def ages(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show how near the end of transaction ids is."""
    _tell("wraparound", lambda runtime: wraparound.look(runtime.database, limit=limit), as_json=as_json)


@app.command("sequences")
def numbers_left(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show how much of their numbers sequences have used."""
    _tell("sequences", lambda runtime: sequences.look(runtime.database, limit=limit), as_json=as_json)


@app.command("invalid-objects")
def invalid(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show indexes and constraints that are not valid."""
    _tell("invalid-objects", lambda runtime: invalid_objects.look(runtime.database, limit=limit), as_json=as_json)


@app.command("foreign-keys")
def unindexed(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show foreign keys without an index."""
    _tell("foreign-keys", lambda runtime: foreign_keys.look(runtime.database, limit=limit), as_json=as_json)


@app.command("vacuum")
def vacuum_health(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show whether autovacuum keeps up."""
    _tell("vacuum", lambda runtime: vacuum.look(runtime.database, limit=limit), as_json=as_json)


@app.command("replication")
def replicas(
    limit: Limit = DEFAULT_ITEMS,
    as_json: AsJson = False,
) -> None:
    """Show standbys, slots, archiving and the size of the log."""
    _tell("replication", lambda runtime: replication.look(runtime.database, limit=limit), as_json=as_json)


def _tell(name: str, look: Look, *, as_json: bool) -> None:
    async def work(runtime: Runtime) -> Answer[Any]:
        return await look(runtime)

    answer = run_long(work)
    if as_json:
        print_json(_document(answer, camel=True))
        return
    for sentence in (answer.reason, answer.remedy and f"To change that: {answer.remedy}"):
        if sentence:
            console.print(sentence, markup=False, highlight=False)
    if answer.since is not None:
        console.print(f"Counted since {answer.since:%Y-%m-%d %H:%M}Z.", highlight=False)
    _show_members(answer)
    columns = NARROW.get(name)
    if isinstance(answer, UnusedIndexes) and not answer.is_conclusive:
        columns = ("index_name", "table_name", "bytes")  # nothing to drop yet
    cards = [_document(item) for item in answer.items]
    show_table(_title(name.replace("-", "_")), [_chosen(card, columns) for card in map(_readable, cards)])
    if not answer.items and answer.status is Status.AVAILABLE:
        console.print(f"{_title(name.replace('-', '_'))}: none.", highlight=False)


def _show_members(answer: Answer[Any]) -> None:
    """What an answer has beside its items: a table of each value, and a line of each fact or sentence."""
    common = {one.name for one in fields(Answer)}
    for one in fields(answer):
        value = getattr(answer, one.name)
        if one.name in common or value is None or value == ():
            continue
        values: Sequence[Any] = value if isinstance(value, tuple) else (value,)
        if is_dataclass(values[0]):
            cards = [_readable(_document(part)) for part in values]
            show_table(_title(one.name), [_chosen(card, NARROW.get(one.name)) for card in cards])
        else:
            text = f"{_title(one.name)}: {in_words(_in_words(one.name, value))}"
            console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


def _chosen(card: dict[str, Any], columns: Sequence[str] | None) -> dict[str, Any]:
    return {_title(column): card[column] for column in columns or card}


def _title(column: str) -> str:
    return column.replace("_bytes", "").replace("_", " ")


def _readable(card: dict[str, Any]) -> dict[str, Any]:
    """Bytes in words, shares in percent, no more digits than anybody reads, and of a statement its beginning."""
    return {name: _in_words(name, value) for name, value in card.items()}


def _in_words(name: str, value: Any) -> Any:
    if value is None:
        return None
    if "bytes" in name:
        return str(ByteCount(value))
    if name.endswith("share"):
        return f"{value:.0%}"
    if name == "statement" and len(value) > SHOWN_LENGTH:
        return f"{value[:SHOWN_LENGTH]}..."
    return round(value, 3) if isinstance(value, float) else value


def _document(value: Any, *, camel: bool = False) -> Any:
    """A value of the domain as JSON has it."""
    if isinstance(value, tuple):
        return [_document(one, camel=camel) for one in value]
    if not is_dataclass(value):
        return value
    return {
        camel_case(one.name) if camel else one.name: _document(getattr(value, one.name), camel=camel)
        for one in fields(value)
    }
