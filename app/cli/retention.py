"""Commands about what is kept how long, and about archives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import typer

from app.cli.context import AsJson, Cursor, run, run_long
from app.cli.output import FAILED, print_json, say, show, show_list, show_table
from app.db.models import Archive
from app.db.session import Session
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.retention import Rule, Stock
from app.domain.words import ByteCount
from app.ops.maintenance import archived_trail, archives, retention
from app.runtime import Runtime
from app.telemetry.values import printable

app = typer.Typer(no_args_is_help=True, help="Retention: what is kept how long, and the archives of what was removed.")


@app.command("show")
def show_all(as_json: AsJson = False) -> None:
    """Show everything that grows, how long it is kept, and how much there is."""

    async def work(tx: Session, runtime: Runtime) -> Sequence[tuple[Rule, Stock]]:
        return await retention.show(tx, runtime.settings)

    found = run(work)
    if as_json:
        print_json({"kinds": [_kind(rule, stock) for rule, stock in found]})
    else:
        show_table("Kept", [_row(rule, stock) for rule, stock in found])


@app.command("archives")
def list_archives(cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List the archives on record, newest first, at most 200."""

    async def work(tx: Session, runtime: Runtime) -> Page[Archive]:
        return await archives.list_page(tx, PageRequest(MAX_LIMIT, cursor))

    found = run(work)
    cards = [_card(archive) for archive in found.items]
    lines = cards if as_json else [{**one, "size": str(ByteCount(one["bytes"]))} for one in cards]
    show_list(lines, found.next_cursor, ("createdAt", "fileName", "subject", "rows", "size"), as_json=as_json)


@app.command("verify-archives")
def verify_archives(as_json: AsJson = False) -> None:
    """Check that every archive on record is there and whole; exit code 0 only when all are.

    The chain of the audit trail is followed through its archives. A file without a record is told, and no fault.
    """
    found = run_long(_verify)
    if as_json:
        print_json({"archives": found.archives, "findings": found.findings, "unrecorded": found.unrecorded})
    else:
        show({"archives": found.archives, "findings": len(found.findings)}, as_json=False)
        for sentence in found.findings:
            say(printable(sentence))
        for name in found.unrecorded:
            say(printable(f"{name} is not on record: a run ended before it removed its rows; the file can go."))
    if found.findings:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, slots=True)
class Verified:
    """How many archives are on record, a sentence for each fault, and files that no record knows."""

    archives: int
    findings: list[str]
    unrecorded: list[str]


async def _verify(runtime: Runtime) -> Verified:
    folder = runtime.settings.archive_dir
    there = archives.list_finished(folder)  # before the records: what a run finishes meanwhile is not mistaken
    found = [(archive.file_name, wrong) async for archive, wrong in archives.verify_all(runtime.database, folder)]
    findings = [wrong for _, wrong in found if wrong is not None]
    findings += await archived_trail.follow(runtime.database, runtime.vault, folder)
    return Verified(len(found), findings, sorted(there - {name for name, _ in found}))


def _kind(rule: Rule, stock: Stock) -> dict[str, Any]:
    return {
        "name": rule.kind,
        "kept": rule.kept,
        "keptDays": None if rule.kept_for is None else rule.kept_for.days,
        "countedFrom": rule.counted_from,
        "end": rule.end,
        "isEvidence": rule.is_evidence,
        "rows": stock.rows,
        "isEstimate": stock.is_estimate,
        "bytes": stock.bytes,
        "oldestAt": stock.oldest_at,
    }


def _row(rule: Rule, stock: Stock) -> dict[str, Any]:
    about = "about " if stock.is_estimate else ""
    return {
        "name": rule.kind,
        "kept": rule.kept,
        "then": rule.end.replace("_", " "),
        "rows": f"{about}{stock.rows:,}",
        "size": str(ByteCount(stock.bytes)),
        "counted from": stock.oldest_at,
    }


def _card(archive: Archive) -> dict[str, Any]:
    return {
        "id": archive.id,
        "kind": archive.kind,
        "subject": archive.subject,
        "fileName": archive.file_name,
        "rows": archive.rows,
        "bytes": archive.bytes,
        "sha256": archive.sha256,
        "since": archive.since,
        "until": archive.until,
        "createdAt": archive.created_at,
    }
