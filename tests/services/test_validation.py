"""Validation: the seats that machines take, and the way through the answers that were given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.db.engine import Database
from app.db.lane import Lane
from app.db.models import AuditEvent, License, Machine, ValidationEvent
from app.db.session import Session
from app.domain.errors import InvalidCursor, NoFreeSeat
from app.domain.license_keys import hash_license_key
from app.domain.licenses import ValidationQuestion
from app.domain.machines import hash_fingerprint
from app.domain.pages import PageRequest, cut_page
from app.domain.permissions import COMMAND_LINE
from app.services import licenses, machines, validation
from app.services.validation import _parse_position
from tests.factories.store import NOW, make_license
from tests.services.conftest import trail

ID = UUID("019a0000-0000-7000-8000-000000000001")


@pytest.mark.parametrize(
    "position", ["2026-03-01T12:00:00", "2026-03-01T12:00:00 x", "x 019a", f" {ID}", f"2026-03-01T12:00:00 {ID}"]
)
def test_a_place_among_validations_needs_a_moment_with_its_zone_and_an_id(position: str) -> None:
    cursor = cut_page([position, position], 1, lambda item: item).next_cursor

    with pytest.raises(InvalidCursor):
        PageRequest(cursor=cursor).position(_parse_position)


def test_a_place_among_validations_survives_the_way_through_a_client() -> None:
    cursor = cut_page([1, 2], 1, lambda _: f"2026-03-01T12:00:00+00:00 {ID}").next_cursor

    assert PageRequest(cursor=cursor).position(_parse_position) == (
        datetime.fromisoformat("2026-03-01T12:00:00+00:00"),
        ID,
    )


async def make_question(database: Database, **fields: Any) -> ValidationQuestion:
    """A question about a new license."""
    async with database.transaction() as tx:
        _, license_key = await make_license(tx, **fields)
    return ValidationQuestion(hash_license_key(license_key), ip="192.0.2.9", request_id="request-9")


async def ask_from(database: Database, question: ValidationQuestion, machine: str) -> str:
    async with database.transaction() as tx:
        asked = replace(question, fingerprint_hash=hash_fingerprint(machine))
        return (await validation.take_seat(tx, asked, now=NOW)).code


async def test_twenty_machines_in_parallel_transactions_take_exactly_five_seats(database: Database) -> None:
    question = await make_question(database, max_machines=5)

    codes = await asyncio.gather(*(ask_from(database, question, f"machine-{number}") for number in range(20)))

    assert sorted(codes) == ["TOO_MANY_MACHINES"] * 15 + ["VALID"] * 5
    async with database.transaction() as tx:
        assert await tx.scalar(select(func.count()).select_from(Machine)) == 5
        assert await tx.scalar(select(func.count()).select_from(ValidationEvent)) == 20
        activated = (await tx.scalars(select(AuditEvent).where(AuditEvent.event == "machine.activated"))).all()
    assert [(event.actor_kind, str(event.ip), event.request_id) for event in activated] == [
        ("machine", "192.0.2.9", "request-9")
    ] * 5


async def test_the_same_machine_twenty_times_in_parallel_takes_one_seat(database: Database) -> None:
    question = await make_question(database, max_machines=1)

    codes = await asyncio.gather(*(ask_from(database, question, "one") for _ in range(20)))

    assert codes == ["VALID"] * 20
    async with database.transaction() as tx:
        assert await tx.scalar(select(func.count()).select_from(Machine)) == 1


async def test_machines_that_are_removed_meanwhile_never_make_room_for_too_many(database: Database) -> None:
    question = await make_question(database, max_machines=3)
    for number in range(3):
        await ask_from(database, question, f"machine-{number}")
    async with database.transaction() as tx:
        [license] = (await tx.scalars(select(License))).all()
        taken = (await tx.scalars(select(Machine.id).order_by(Machine.id))).all()

    async def remove(machine_id: UUID) -> str:
        async with database.transaction() as tx:
            await machines.remove(tx, COMMAND_LINE, license.id, machine_id, now=NOW)
        return "removed"

    outcomes = await asyncio.gather(
        *(ask_from(database, question, f"new-{number}") for number in range(6)),
        *(remove(machine_id) for machine_id in taken[:2]),
        *(ask_from(database, question, f"newer-{number}") for number in range(6)),
    )

    async with database.transaction() as tx:
        seats = await tx.scalar(select(func.count()).select_from(Machine))
    assert outcomes.count("removed") == 2
    assert outcomes.count("VALID") <= 2
    assert seats == 1 + outcomes.count("VALID")


async def test_a_seat_that_became_free_is_taken_by_the_next_machine(tx: Session) -> None:
    license, license_key = await make_license(tx, max_machines=1)
    machine, is_new = await machines.activate(tx, COMMAND_LINE, license.id, "old", now=NOW)
    question = ValidationQuestion(hash_license_key(license_key), fingerprint_hash=hash_fingerprint("new"))
    assert is_new
    assert (await validation.take_seat(tx, question, now=NOW)).code == "TOO_MANY_MACHINES"

    await machines.remove(tx, COMMAND_LINE, license.id, machine.id, now=NOW)
    await tx.flush()

    assert (await validation.take_seat(tx, question, now=NOW)).code == "VALID"
    assert [event.event for event in await trail(tx, license.id)] == [
        "license.issued",
        "machine.activated",
        "machine.deactivated",
        "machine.activated",
    ]


async def test_every_activation_is_recorded_for_the_licenses_organization(tx: Session) -> None:
    license, license_key = await make_license(tx, max_machines=2)
    question = ValidationQuestion(hash_license_key(license_key), fingerprint_hash=hash_fingerprint("new"))

    await machines.activate(tx, COMMAND_LINE, license.id, "old", now=NOW)
    await validation.take_seat(tx, question, now=NOW)

    recorded = await trail(tx, license.id)
    assert [event.organization_id for event in recorded] == [license.organization_id] * 3


async def test_a_license_suspended_since_the_question_was_judged_gives_no_seat(tx: Session) -> None:
    license, license_key = await make_license(tx, max_machines=1)
    await licenses.suspend(tx, COMMAND_LINE, license.id, now=NOW)
    await tx.flush()
    question = ValidationQuestion(hash_license_key(license_key), fingerprint_hash=hash_fingerprint("new"))

    assert (await validation.take_seat(tx, question, now=NOW)).code == "SUSPENDED"


async def test_an_unknown_key_takes_no_seat(tx: Session) -> None:
    question = ValidationQuestion(b"\0" * 32, fingerprint_hash=b"\1" * 32)

    assert (await validation.take_seat(tx, question, now=NOW)).code == "NOT_FOUND"


async def test_explicit_activation_stops_at_the_limit_and_is_harmless_twice(tx: Session) -> None:
    license, _ = await make_license(tx, max_machines=1)

    first, is_new = await machines.activate(tx, COMMAND_LINE, license.id, "one", now=NOW)
    again, is_new_again = await machines.activate(tx, COMMAND_LINE, license.id, "one", now=NOW)

    assert (is_new, is_new_again, again.id) == (True, False, first.id)
    assert first.fingerprint_hash == hash_fingerprint("one")
    with pytest.raises(NoFreeSeat):
        await machines.activate(tx, COMMAND_LINE, license.id, "two", now=NOW)


async def test_a_batch_leaves_questions_that_want_a_seat_unwritten(database: Database) -> None:
    question = await make_question(database, max_machines=1)
    lane = Lane(database.url)

    verdicts = await validation.answer_batch(
        lane, lambda: NOW, [question, replace(question, fingerprint_hash=b"\1" * 32), ValidationQuestion(b"\0" * 32)]
    )

    assert [(verdict.code, verdict.wants_seat) for verdict in verdicts] == [
        ("VALID", False),
        ("VALID", True),
        ("NOT_FOUND", False),
    ]
    async with database.transaction() as tx:
        codes = (await tx.scalars(select(ValidationEvent.code).order_by(ValidationEvent.id))).all()
    assert codes == ["VALID", "NOT_FOUND"]
    await lane.close()
