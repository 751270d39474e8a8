"""Validation: may this license be used? Always a fresh read, and an answer given is a row written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from app.db import events
from app.db.lane import Lane
from app.db.models import Machine, ValidationEvent
from app.db.queries import licenses, validation, validation_events
from app.db.session import Session, driver_connection
from app.domain.events import EventName
from app.domain.licenses import ValidationQuestion, Verdict, judge
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Permission, Principal, PrincipalKind


async def answer_batch(
    lane: Lane, clock: Callable[[], datetime], questions: Sequence[ValidationQuestion]
) -> list[Verdict]:
    """Answer many questions in one trip; those that want a seat are left to `take_seat`. Raises Outage."""
    facts = await lane.read(lambda connection: validation.find_facts(connection, questions))
    now = clock()

    verdicts = [judge(question, known, now) for question, known in zip(questions, facts, strict=True)]

    final = [pair for pair in zip(questions, verdicts, strict=True) if not pair[1].wants_seat]
    if final:
        await lane.write(lambda connection: validation.append_events(connection, final, now=now))
    return verdicts


async def take_seat(tx: Session, question: ValidationQuestion, *, now: datetime) -> Verdict:
    """Answer a question from a new machine, which takes a free seat; the license is locked meanwhile."""
    organization_id = await licenses.lock_license_key(tx, question.license_key_hash)
    connection = await driver_connection(tx)
    [facts] = await validation.find_facts(connection, [question])

    verdict = judge(question, facts, now)

    if verdict.wants_seat:
        await _activate(tx, question, verdict, organization_id, now)
    await validation.append_events(connection, [(question, verdict)], now=now)
    return verdict


async def list_page(tx: Session, caller: Principal, license_id: UUID, page: PageRequest) -> Page[ValidationEvent]:
    """The answers that were given for a license, newest first."""
    license = await licenses.get_license(tx, caller.organization_id, license_id)
    before = page.position(_parse_position)
    found = await validation_events.list_validation_events(tx, license.id, before=before, limit=page.limit + 1)
    return cut_page(found, page.limit, lambda event: f"{event.occurred_at.isoformat()} {event.id}")


def _parse_position(text: str) -> tuple[datetime, UUID]:
    moment, _, event_id = text.partition(" ")
    occurred_at = datetime.fromisoformat(moment)
    if occurred_at.tzinfo is None:
        raise ValueError("a moment without its zone")
    return occurred_at, UUID(event_id)


async def _activate(
    tx: Session, question: ValidationQuestion, verdict: Verdict, organization_id: UUID | None, now: datetime
) -> None:
    assert verdict.license is not None, "only a known license has seats"
    assert question.fingerprint_hash is not None, "only a machine that named itself takes a seat"
    license_id = verdict.license.license_id
    machine = Machine(license_id=license_id, fingerprint_hash=question.fingerprint_hash, activated_at=now)
    tx.add(machine)
    await tx.flush()

    client = _client(question)
    data = {"machineId": str(machine.id)}
    await events.record(
        tx, client, EventName.MACHINE_ACTIVATED, license_id, organization_id=organization_id, now=now, data=data
    )


def _client(question: ValidationQuestion) -> Principal:
    nothing: frozenset[Permission] = frozenset()
    return Principal(PrincipalKind.MACHINE, None, None, nothing, ip=question.ip, request_id=question.request_id)
