"""Commands about the audit trail."""

from __future__ import annotations

import sys
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TextIO
from uuid import UUID

import typer
from rich.progress import Progress as Bar

from app.cli.arguments import parse_moment, parse_text, parser
from app.cli.context import AsJson, Cursor, run, run_long
from app.cli.output import FAILED, console, fail, say, show, show_list
from app.db.session import Session
from app.domain.audit_chain import Head, Verification, parse_head
from app.domain.audit_events import AuditFilter, ExportFormat, RecordedEvent, as_document, export_head, export_lines
from app.domain.events import EventName
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.ops import audit_chain
from app.runtime import Runtime
from app.services import audit_events

app = typer.Typer(no_args_is_help=True, help="The audit trail: what was changed, by whom, from where.")

_parse_address = parser(lambda text: str(ip_address(text)))
_parse_head = parser(parse_head)

Event = Annotated[EventName | None, typer.Option(metavar="NAME", help="Only events of this name: license.revoked.")]
ActorId = Annotated[UUID | None, typer.Option(help="Only what this user or API key did.")]
SubjectId = Annotated[str | None, typer.Option(parser=parse_text, metavar="ID", help="Only what was done to this.")]
OrganizationId = Annotated[UUID | None, typer.Option(help="Only of this organization.")]
Address = Annotated[str | None, typer.Option(parser=_parse_address, metavar="IP", help="Only from this address.")]
RequestId = Annotated[str | None, typer.Option(parser=parse_text, metavar="ID", help="Only of this request.")]
Since = Annotated[datetime | None, typer.Option(parser=parse_moment, metavar="MOMENT", help="From this moment on.")]
Until = Annotated[datetime | None, typer.Option(parser=parse_moment, metavar="MOMENT", help="Before this moment.")]


@app.command("list")
def list_all(
    event: Event = None,
    actor_id: ActorId = None,
    subject_id: SubjectId = None,
    organization_id: OrganizationId = None,
    ip: Address = None,
    request_id: RequestId = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    as_json: AsJson = False,
) -> None:
    """List what was done, newest first, at most 200."""
    wanted = AuditFilter(
        event, actor_id, subject_id, organization_id, ip_address(ip) if ip else None, request_id, since, until
    )

    async def work(tx: Session, runtime: Runtime) -> Page[RecordedEvent]:
        return await audit_events.list_page(tx, COMMAND_LINE, wanted, PageRequest(MAX_LIMIT, cursor))

    found = run(work)
    cards = [as_document(one) for one in found.items] if as_json else [_row(one) for one in found.items]
    show_list(cards, found.next_cursor, ("occurredAt", "event", "by", "ip", "subjectId"), as_json=as_json)


@app.command("export")
def export(
    event: Event = None,
    actor_id: ActorId = None,
    subject_id: SubjectId = None,
    organization_id: OrganizationId = None,
    ip: Address = None,
    request_id: RequestId = None,
    since: Since = None,
    until: Until = None,
    form: Annotated[ExportFormat, typer.Option("--format", help="JSON lines, or CSV.")] = ExportFormat.JSONL,
    output: Annotated[Path | None, typer.Option(help="A file to make; stdout otherwise.")] = None,
) -> None:
    """Export what was done, oldest first; that it was exported is recorded."""
    wanted = AuditFilter(
        event, actor_id, subject_id, organization_id, ip_address(ip) if ip else None, request_id, since, until
    )
    if output is None:
        run_long(lambda runtime: _export(runtime, wanted, form, sys.stdout))
        return
    try:
        with output.open("x", encoding="utf-8", newline="") as file:
            count = run_long(lambda runtime: _export(runtime, wanted, form, file))
    except OSError as error:
        fail(f"{output} can't be written: {error.strerror}.")
    except SystemExit:
        output.unlink()
        raise
    say(f"{count} events in {output}")


@app.command("verify")
def verify(
    head: Annotated[
        Head | None,
        typer.Option(parser=_parse_head, metavar="POSITION:HASH", help="The head that was printed or logged earlier."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that nothing in the trail was changed or removed; exit code 0 only when it is intact."""
    found = run_long(lambda runtime: _verify(runtime, head, has_bar=console.is_terminal and not as_json))
    card: dict[str, Any] = {"intact": found.is_intact, "position": found.head.position, "head": str(found.head)}
    if found.base is not None:
        card["archivedUpTo"] = found.base.position
    if found.remark is not None:
        card["remark"] = found.remark
    findings = [
        {"kind": one.kind, "position": one.position, "eventId": one.event_id, "sentence": one.sentence}
        for one in found.findings
    ]
    if as_json:
        show({**card, "findingCount": found.finding_count, "findings": findings}, as_json=True)
    else:
        show(card, as_json=False)
        for one in found.findings:
            say(one.sentence)
        if found.finding_count > len(findings):
            say(f"There are {found.finding_count - len(findings)} more findings.")
    if not found.is_intact:
        raise typer.Exit(FAILED)


def _row(event: RecordedEvent) -> dict[str, Any]:
    by = event.actor.name or event.actor.kind
    return {**as_document(event), "occurredAt": event.occurred_at, "by": by}


async def _export(runtime: Runtime, wanted: AuditFilter, form: ExportFormat, file: TextIO) -> int:
    async with runtime.database.transaction() as tx:
        end = await audit_events.begin_export(tx, COMMAND_LINE, wanted, form, now=runtime.now())
    file.write(export_head(form))
    count, after = 0, None
    while True:
        async with runtime.database.transaction() as tx:
            events = await audit_events.list_exported(tx, COMMAND_LINE, wanted, after=after, end=end)
        file.write(export_lines(events, form))
        count += len(events)
        if len(events) < audit_events.EXPORTED_AT_ONCE:
            return count
        after = events[-1].id


async def _verify(runtime: Runtime, expected: Head | None, *, has_bar: bool) -> Verification:
    """What waits is sealed first: without a server nobody else does, and it is no fault of the trail."""
    await audit_chain.seal(runtime.database, runtime.vault, now=runtime.now())
    verification = await audit_chain.begin_verification(runtime.database, runtime.vault, expected)
    total = (await audit_chain.read_head(runtime.database)).position
    with Bar(console=console, disable=not has_bar, transient=True) as bar:
        links, events = bar.add_task("Links", total=total), bar.add_task("Events", total=total)
        async for step in audit_chain.verify(runtime.database, verification, now=runtime.now()):
            bar.update(links, advance=step.links)
            bar.update(events, advance=step.events)
    return verification
