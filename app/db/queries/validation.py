"""The two statements of a validation: read the facts, append the answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from app.db.models.base import new_id
from app.db.sql import read_sql
from app.domain.licenses import LicenseFacts, LicenseStatus, ValidationQuestion, Verdict
from app.domain.machines import MachineBinding

_VALIDATE_BATCH = read_sql("validate_batch")
_APPEND_VALIDATION_EVENTS = read_sql("append_validation_events")


async def find_facts(
    connection: psycopg.AsyncConnection, questions: Sequence[ValidationQuestion]
) -> list[LicenseFacts | None]:
    """The facts for every question, in their order; None where the license key is unknown."""
    cursor = await connection.execute(
        _VALIDATE_BATCH,
        {
            "license_key_hashes": [question.license_key_hash for question in questions],
            "fingerprint_hashes": [question.fingerprint_hash for question in questions],
        },
        prepare=True,
        binary=True,
    )
    return [_facts(row) for row in await cursor.fetchall()]


async def append_events(
    connection: psycopg.AsyncConnection,
    answers: Sequence[tuple[ValidationQuestion, Verdict]],
    *,
    now: datetime,
) -> None:
    """Append one row for every answer."""
    await connection.execute(
        _APPEND_VALIDATION_EVENTS,
        {
            "occurred_at": now,
            "ids": [new_id() for _ in answers],
            "license_ids": [verdict.license.license_id if verdict.license else None for _, verdict in answers],
            "codes": [verdict.code.value for _, verdict in answers],
            "product_ids": [question.product_id for question, _ in answers],
            "fingerprint_hashes": [question.fingerprint_hash for question, _ in answers],
            "ips": [question.ip for question, _ in answers],
            "request_ids": [question.request_id for question, _ in answers],
        },
        prepare=True,
    )


def _facts(row: tuple[Any, ...]) -> LicenseFacts | None:
    if row[0] is None:
        return None
    return LicenseFacts(
        license_id=row[0],
        organization_name=row[1],
        is_organization_suspended=row[2],
        tier=row[3],
        status=LicenseStatus(row[4]),
        max_users=row[5],
        max_products=row[6],
        max_machines=row[7],
        products=tuple(row[8]),
        features=row[9],
        starts_at=row[10],
        expires_at=row[11],
        is_trial=row[12],
        trial_ends_at=row[13],
        machine_binding=MachineBinding(row[14]),
        is_machine_known=row[15],
        seats_taken=row[16],
    )
