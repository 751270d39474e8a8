"""The two statements of a validation on a real database: facts in order, rows appended, indexes used."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from app.db.engine import connect
from app.db.models import ValidationEvent
from app.db.queries import validation
from app.db.session import Session, driver_connection
from app.db.sql import read_sql
from app.domain.license_keys import hash_license_key
from app.domain.licenses import LicenseFacts, ValidationCode, ValidationQuestion, Verdict
from app.domain.machines import hash_fingerprint
from app.domain.permissions import COMMAND_LINE
from app.services import machines, organizations
from tests.factories.store import NOW, make_license, make_organization, make_product

UNKNOWN = ValidationQuestion(b"\0" * 32)


def about(license_key: str, machine: str | None = None) -> ValidationQuestion:
    return ValidationQuestion(
        hash_license_key(license_key), fingerprint_hash=None if machine is None else hash_fingerprint(machine)
    )


async def find_facts(tx: Session, *questions: ValidationQuestion) -> list[LicenseFacts | None]:
    await tx.flush()
    return await validation.find_facts(await driver_connection(tx), questions)


async def find_one(tx: Session, question: ValidationQuestion) -> LicenseFacts:
    [facts] = await find_facts(tx, question)
    assert facts is not None
    return facts


async def test_all_that_is_known_about_a_license_is_found(tx: Session) -> None:
    await make_product(tx, "ninja")
    organization = await make_organization(tx, name="Acme Corp")
    end = datetime(2027, 1, 1, tzinfo=UTC)
    license, license_key = await make_license(
        tx,
        organization=organization,
        tier="TRIAL",
        max_machines=3,
        allowed_products=("ninja",),
        starts_at=NOW,
        expires_at=end,
    )

    assert await find_one(tx, about(license_key)) == LicenseFacts(
        license_id=license.id,
        organization_name="Acme Corp",
        is_organization_suspended=False,
        tier="TRIAL",
        status="ACTIVE",  # type: ignore[arg-type]  # the literal that is stored
        max_users=5,
        max_products=3,
        max_machines=3,
        products=("ninja",),
        features={"demo_watermark": True},
        starts_at=NOW,
        expires_at=end,
        is_trial=True,
        trial_ends_at=datetime(2026, 3, 31, 12, 0, tzinfo=UTC),
        machine_binding="AUTOMATIC",  # type: ignore[arg-type]
        is_machine_known=False,
        seats_taken=0,
    )


async def test_facts_come_in_the_order_of_the_questions_unknown_and_repeated_ones_too(tx: Session) -> None:
    made = [await make_license(tx) for _ in range(5)]
    first, second, third, fourth, fifth = (license.id for license, _ in made)
    order = [3, None, 0, 4, 4, None, 2, 1, 0]

    found = await find_facts(tx, *(UNKNOWN if place is None else about(made[place][1]) for place in order))

    ids = [facts and facts.license_id for facts in found]
    assert ids == [fourth, None, first, fifth, fifth, None, third, second, first]


async def test_no_questions_have_no_facts(tx: Session) -> None:
    assert await find_facts(tx) == []


async def test_a_license_for_all_products_lists_every_product_there_is(tx: Session) -> None:
    await make_product(tx, "sensei")
    await make_product(tx, "ninja")
    _, license_key = await make_license(tx)

    assert (await find_one(tx, about(license_key))).products == ("ninja", "sensei")


async def test_a_license_of_no_products_has_none(tx: Session) -> None:
    await make_product(tx, "ninja")
    _, license_key = await make_license(tx, allowed_products=())

    assert (await find_one(tx, about(license_key))).products == ()


async def test_without_any_product_a_license_for_all_has_none(tx: Session) -> None:
    _, license_key = await make_license(tx)

    assert (await find_one(tx, about(license_key))).products == ()


async def test_seats_are_counted_for_a_new_machine_and_a_known_one_is_known(tx: Session) -> None:
    license, license_key = await make_license(tx, max_machines=5)
    _, other_key = await make_license(tx, max_machines=5)
    for machine in ("one", "two"):
        await machines.activate(tx, COMMAND_LINE, license.id, machine, now=NOW)

    known, new, unnamed, other = await find_facts(
        tx, about(license_key, "one"), about(license_key, "three"), about(license_key), about(other_key, "one")
    )

    assert [(facts.is_machine_known, facts.seats_taken) for facts in (known, new, unnamed, other) if facts] == [
        (True, 0),
        (False, 2),
        (False, 0),
        (False, 0),
    ]


async def test_the_suspension_of_the_organization_is_seen(tx: Session) -> None:
    license, license_key = await make_license(tx)

    await organizations.change(tx, COMMAND_LINE, license.organization_id, {"is_suspended": True}, now=NOW)

    assert (await find_one(tx, about(license_key))).is_organization_suspended


async def test_every_answer_is_appended_with_what_was_asked(tx: Session) -> None:
    license, license_key = await make_license(tx)
    question = replace(about(license_key, "one"), product_id="ninja", ip="2001:db8::7", request_id="request-1")
    facts = await find_one(tx, question)

    answers = [(question, Verdict(ValidationCode.VALID, facts)), (UNKNOWN, Verdict(ValidationCode.NOT_FOUND, None))]
    await validation.append_events(await driver_connection(tx), answers, now=NOW)

    rows = (await tx.scalars(select(ValidationEvent).order_by(ValidationEvent.id))).all()
    assert [
        (row.occurred_at, row.license_id, row.code, row.product_id, row.fingerprint_hash, row.ip, row.request_id)
        for row in rows
    ] == [
        (NOW, license.id, "VALID", "ninja", hash_fingerprint("one"), ip_address("2001:db8::7"), "request-1"),
        (NOW, None, "NOT_FOUND", None, None, None, None),
    ]


@pytest.mark.parametrize("code", list(ValidationCode))
async def test_every_outcome_can_be_written(tx: Session, code: ValidationCode) -> None:
    await validation.append_events(await driver_connection(tx), [(UNKNOWN, Verdict(code, None))], now=NOW)

    assert await tx.scalar(select(ValidationEvent.code)) == code.value


@pytest.mark.parametrize("field", ["product_id", "request_id"])
async def test_a_nul_is_refused_by_the_driver_before_anything_is_sent(tx: Session, field: str) -> None:
    changes: dict[str, Any] = {field: "nin\0ja"}
    connection = await driver_connection(tx)

    with pytest.raises(psycopg.DataError, match="NUL"):
        await validation.append_events(
            connection, [(replace(UNKNOWN, **changes), Verdict(ValidationCode.NOT_FOUND, None))], now=NOW
        )

    assert connection.info.transaction_status is psycopg.pq.TransactionStatus.INTRANS


@pytest.fixture
async def crowded(fresh_database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A database with 20,000 licenses and 40,000 machines that nobody has analyzed."""
    connection = await connect(fresh_database, autocommit=True)
    for table in ("organizations", "licenses", "machines"):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)".encode())
    await connection.execute("""
        INSERT INTO organizations (id, name, domain, email)
        SELECT gen_random_uuid(), 'Acme', n || '.example', 'it@acme.example' FROM generate_series(1, 2000) AS n
    """)
    await connection.execute("""
        INSERT INTO licenses (id, organization_id, plan_id, tier, license_key_hash, license_key_encrypted, max_machines)
        SELECT gen_random_uuid(), organization.id, (SELECT id FROM plans LIMIT 1), 'TRIAL',
            sha256((organization.domain || n)::bytea), '', 5
        FROM organizations AS organization, generate_series(1, 10) AS n
    """)
    await connection.execute("""
        INSERT INTO machines (id, license_id, fingerprint_hash, activated_at)
        SELECT gen_random_uuid(), license.id, sha256(n::text::bytea), now()
        FROM licenses AS license, generate_series(1, 2) AS n
    """)
    yield connection
    await connection.close()


@pytest.mark.parametrize("is_analyzed", [False, True], ids=["right after loading", "analyzed"])
@pytest.mark.parametrize("plan", ["force_custom_plan", "force_generic_plan"])
async def test_a_batch_reads_by_index_among_twenty_thousand_licenses(
    crowded: psycopg.AsyncConnection, is_analyzed: bool, plan: str
) -> None:
    if is_analyzed:
        await crowded.execute("ANALYZE")
    await crowded.execute(f"SET plan_cache_mode = {plan}".encode())
    keys = await (await crowded.execute("SELECT license_key_hash FROM licenses ORDER BY id LIMIT 256")).fetchall()

    parameters = {"license_key_hashes": [row[0] for row in keys], "fingerprint_hashes": [b"\1" * 32] * len(keys)}
    cursor = await crowded.execute(b"EXPLAIN " + read_sql("validate_batch").encode(), parameters, prepare=True)

    lines = "\n".join(row[0] for row in await cursor.fetchall())
    assert "Seq Scan on licenses" not in lines, lines
    assert "Seq Scan on organizations" not in lines, lines
    assert "Seq Scan on machines" not in lines, lines
    used = set(re.findall(r"Index (?:Only )?Scan (?:using|on) (\w+)", lines))
    assert {"uq_licenses_license_key_hash", "pk_organizations", "uq_machines_license_id_fingerprint_hash"} <= used
