"""Commands about backups."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import pyrage
import typer

from app.cli.arguments import parse_long_text, parse_moment, parse_product_id, parse_text
from app.cli.context import AsJson, Cursor, run, run_long
from app.cli.output import print_json, show, show_list, show_table
from app.db.models import Backup
from app.db.session import Session
from app.domain.backup_retention import SENTENCES
from app.domain.backups import OWN_TOOL, BackupStatus, rows_of
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.domain.words import ByteCount, camel_case
from app.ops.backups import expiry
from app.ops.backups.expiry import Expiry, Judged, Place
from app.runtime import Runtime
from app.services import backups

app = typer.Typer(no_args_is_help=True, help="Backups: the catalog, trials, and what is kept how long.")

BackupId = Annotated[UUID, typer.Argument(metavar="BACKUP_ID")]

_FIELDS = (
    *("id", "tool", "status", "is_pinned", "note", "created_at", "finished_at", "file_name", "stores", "bytes"),
    *("sha256", "verified_at", "recovery_seconds", "failure", "expired_at", "run_id"),
)


@app.command("list")
def list_all(
    status: Annotated[BackupStatus | None, typer.Option(help="Only in this status.")] = None,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List backups of all tools, newest first, at most 200; deleted ones too."""

    async def work(tx: Session, runtime: Runtime) -> Page[Backup]:
        return await backups.list_page(tx, status, PageRequest(MAX_LIMIT, cursor))

    found = run(work)
    cards = [_card(one) if as_json else _line(one) for one in found.items]
    show_list(cards, found.next_cursor, ("id", "createdAt", "size", "state"), as_json=as_json)


@app.command("show")
def show_one(backup_id: BackupId, as_json: AsJson = False) -> None:
    """Show a backup; with --json its manifest, too."""

    async def work(tx: Session, runtime: Runtime) -> Backup:
        return await backups.get(tx, backup_id)

    found = run(work)
    show(_card(found) | {"manifest": found.manifest} if as_json else _card(found), as_json=as_json)


@app.command("pin")
def pin(
    backup_id: BackupId,
    note: Annotated[str | None, typer.Option(parser=parse_long_text, metavar="TEXT", help="What it is for.")] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a backup until it is unpinned."""

    async def work(tx: Session, runtime: Runtime) -> Backup:
        return await backups.pin(tx, COMMAND_LINE, backup_id, note, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


@app.command("unpin")
def unpin(backup_id: BackupId, as_json: AsJson = False) -> None:
    """Let retention judge a backup again."""

    async def work(tx: Session, runtime: Runtime) -> Backup:
        return await backups.unpin(tx, COMMAND_LINE, backup_id, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


@app.command("delete")
def delete(
    backup_id: BackupId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a backup, never a pinned one nor the last good one; again, where a store was away."""
    if not yes:
        typer.confirm(f"Delete backup {backup_id} and its files, for good?", abort=True, err=True)

    async def work(runtime: Runtime) -> Judged:
        return await expiry.delete(_place(runtime), backup_id)

    show(_judged(run_long(work)), as_json=as_json)


@app.command("expire")
def expire(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would go, and touch nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete what retention lets go now, which every backup does at its end."""

    async def work(runtime: Runtime) -> Expiry:
        return await (expiry.preview(_place(runtime)) if dry_run else expiry.expire(_place(runtime)))

    found = run_long(work)
    if as_json:
        parts = {"gone": [*map(_judged, found.gone)], "kept": [*map(_judged, found.kept)]}
        print_json({"dryRun": dry_run, **parts})
        return
    show_table("Would go" if dry_run else "Gone", [*map(_reason_line, found.gone)])
    show_table("Stays", [*map(_reason_line, found.kept)])
    if not found.gone:
        typer.echo("Nothing is to go.")


@app.command("report")
def report(
    tool: Annotated[str, typer.Option(parser=parse_product_id, metavar="NAME", help="Such as pgbackrest or wal-g.")],
    finished_at: Annotated[
        datetime | None, typer.Option(parser=parse_moment, metavar="TIME", help="Its end; now.")
    ] = None,
    status: Annotated[BackupStatus, typer.Option(help="stored, verified or failed.")] = BackupStatus.STORED,
    label: Annotated[
        str | None, typer.Option(parser=parse_text, metavar="TEXT", help="The tool's own name for the backup.")
    ] = None,
    started_at: Annotated[datetime | None, typer.Option(parser=parse_moment, metavar="TIME", help="Its start.")] = None,
    size: Annotated[int | None, typer.Option("--bytes", min=0, max=2**63 - 1, help="Its size.")] = None,
    failure: Annotated[
        str | None, typer.Option(parser=parse_long_text, metavar="TEXT", help="Why it has failed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup that another tool made on record; repeating a report is harmless."""

    async def work(tx: Session, runtime: Runtime) -> Backup:
        ended_at = finished_at or runtime.now()
        wish = backups.ReportBackup(tool, ended_at, status, label, started_at, size, failure)
        return await backups.report(tx, COMMAND_LINE, wish, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


@app.command("generate-key")
def generate_key(as_json: AsJson = False) -> None:
    """Print a new key for BACKUP_ENCRYPTION_KEY; keep a copy of it elsewhere, or the backups are lost with it."""
    key = str(pyrage.x25519.Identity.generate())
    print_json({"key": key}) if as_json else typer.echo(key)


def _place(runtime: Runtime) -> Place:
    return Place(runtime.database, runtime.settings, COMMAND_LINE, runtime.now())


def _card(backup: Backup) -> dict[str, Any]:
    manifest = backup.manifest
    return {camel_case(name): getattr(backup, name) for name in _FIELDS} | {
        "encrypted": None if manifest is None else manifest["encryptedFor"] is not None,
        "rows": rows_of(manifest),
        "schemaHead": None if manifest is None else manifest["schemaHead"],
    }


def _line(backup: Backup) -> dict[str, Any]:
    pinned = ", pinned" if backup.is_pinned else ""
    by = "" if backup.tool == OWN_TOOL else f" by {backup.tool}"
    size = None if backup.bytes is None else str(ByteCount(backup.bytes))
    return {
        "id": backup.id,
        "createdAt": backup.created_at,
        "size": size,
        "state": f"{backup.status}{pinned}{by}",
    }


def _judged(one: Judged) -> dict[str, Any]:
    return {
        "id": one.id,
        "fileName": one.file_name,
        "createdAt": one.created_at,
        "bytes": one.bytes,
        "reason": one.reason,
        "leftIn": one.left_in,
    }


def _reason_line(one: Judged) -> dict[str, Any]:
    left = f"; its files are left in {', '.join(one.left_in)}" if one.left_in else ""
    return {"created": one.created_at, "file": one.file_name, "because": SENTENCES[one.reason] + left}
