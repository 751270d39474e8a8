"""Partitions of validation events, a day (UTC) each, and the default one that catches what has no day yet."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from psycopg import sql

from app.db.brief import briefly, refusals
from app.db.direct import DirectConnection
from app.db.sql import read_sql
from app.domain.retention import start_of

DEFAULT = "validation_events_default"
DAY = timedelta(days=1)

_LIST_PARTITIONS = sql.SQL(read_sql("list_partitions"))
_MOVE = sql.SQL(read_sql("move_validation_events"))
_BOUNDS = re.compile(r"FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)")
_GUARD_PREFIX = "ck_validation_events_default_without_"


@dataclass(frozen=True, slots=True)
class Partition:
    """The partition of a day; the number of rows is the planner's."""

    name: str
    day: date
    bytes: int
    about_rows: int


async def list_partitions(direct: DirectConnection) -> Sequence[Partition]:
    """The partitions of whole days, oldest first; those that somebody made otherwise are not ours."""
    found = []
    for name, bounds, size, rows in await direct.execute(_LIST_PARTITIONS):
        day = _day_of(name, bounds)
        if day is not None:
            found.append(Partition(name, day, size, rows))
    return found


async def default_bytes(direct: DirectConnection) -> int:
    """How large the default partition is, dead rows too: what has to be read to look through it."""
    [[size]] = await direct.execute(sql.SQL("SELECT pg_relation_size(%s::regclass)"), [DEFAULT])
    return int(size)


async def list_days_in_default(direct: DirectConnection, before: datetime) -> list[date]:
    """The days before a moment of which there are rows in the default partition."""
    days = sql.SQL(
        "SELECT DISTINCT (occurred_at AT TIME ZONE 'UTC')::date FROM ONLY {} WHERE occurred_at < %s ORDER BY 1"
    )
    return [day for [day] in await direct.execute(days.format(sql.Identifier(DEFAULT)), [before])]


async def count_in_default(direct: DirectConnection, before: datetime) -> int:
    """How many rows in the default partition are older."""
    count = sql.SQL("SELECT count(*) FROM ONLY {} WHERE occurred_at < %s").format(sql.Identifier(DEFAULT))
    [[rows]] = await direct.execute(count, [before])
    return int(rows)


async def make_partition(direct: DirectConnection, day: date, *, is_guarded: bool) -> int:
    """Make a day's partition out of what the default one has of it, in one transaction; how many rows were moved.

    Guarded, a constraint lets PostgreSQL attach it without reading the default partition while everybody waits; not
    for a day whose rows may arrive now, because the default partition could not take them meanwhile. Validations wait
    for moments only; raises TableBusy and NotOwner.
    """
    since, until = start_of(day), start_of(day) + DAY
    if is_guarded:
        await briefly(direct, lambda: _add_guard(direct, day, since, until))
    try:
        with refusals():
            return await _make(direct, day, since, until, is_guarded=is_guarded)
    except BaseException:
        if is_guarded and direct.is_open:
            await briefly(direct, lambda: _drop_guard(direct, _guard_of(day)))
        raise


async def remove_guards(direct: DirectConnection) -> None:
    """Take away constraints that were left behind by somebody who was killed."""
    left = sql.SQL("SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND starts_with(conname, %s)")
    for [name] in await direct.execute(left, [DEFAULT, _GUARD_PREFIX]):
        await briefly(direct, lambda name=name: _drop_guard(direct, name))  # type: ignore[misc]


async def lock_and_count(direct: DirectConnection, partition: Partition) -> int:
    """How many rows are in a partition, to which nobody adds any until the transaction ends."""
    table = sql.Identifier(partition.name)
    await direct.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(table))
    [[rows]] = await direct.execute(sql.SQL("SELECT count(*) FROM {}").format(table))
    return int(rows)


async def count_rows(direct: DirectConnection, partition: Partition) -> int:
    """How many rows are in a partition."""
    [[rows]] = await direct.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(partition.name)))
    return int(rows)


async def copy_rows(direct: DirectConnection, partition: Partition) -> AsyncGenerator[bytes, None]:
    """The rows of a partition as lines of JSON, as they come; nothing is kept in memory."""
    copy = sql.SQL("COPY (SELECT row_to_json(event) FROM {} AS event) TO STDOUT").format(sql.Identifier(partition.name))
    async with direct.connection.cursor() as cursor, cursor.copy(copy) as lines:
        async for line in lines:
            # JSON has no raw line feed and no raw tab: of COPY's escapes only the doubled backslash is ever there.
            yield bytes(line).replace(b"\\\\", b"\\")


async def drop_partition(direct: DirectConnection, partition: Partition) -> None:
    """Drop a partition with all that is in it."""
    await direct.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(partition.name)))


async def find_held_organization(
    direct: DirectConnection, partition: Partition, organization_ids: Sequence[str]
) -> str | None:
    """The name of one of these organizations that has rows in a partition."""
    held = sql.SQL(
        "SELECT name FROM organizations WHERE id = ANY (%s::uuid[]) AND EXISTS ("
        "SELECT FROM licenses JOIN {} AS event ON event.license_id = licenses.id"
        " WHERE licenses.organization_id = organizations.id) ORDER BY name LIMIT 1"
    ).format(sql.Identifier(partition.name))
    rows = await direct.execute(held, [list(organization_ids)])
    return rows[0][0] if rows else None


async def _make(direct: DirectConnection, day: date, since: datetime, until: datetime, *, is_guarded: bool) -> int:
    async with direct.connection.transaction():
        await _create(direct, day, since, until)
        moved = await _move(direct, day, since, until)
        if is_guarded:
            guard = sql.SQL("ALTER TABLE {} VALIDATE CONSTRAINT {}")
            await direct.execute(guard.format(sql.Identifier(DEFAULT), sql.Identifier(_guard_of(day))))
        return moved + await briefly(direct, lambda: _attach(direct, day, since, until, is_guarded=is_guarded))


async def _create(direct: DirectConnection, day: date, since: datetime, until: datetime) -> None:
    names = {"day": sql.Identifier(_name_of(day)), "check": sql.Identifier(_check_of(day))}
    bounds = {"since": sql.Literal(since), "until": sql.Literal(until)}
    await direct.execute(
        sql.SQL(
            "CREATE TABLE {day} (LIKE validation_events INCLUDING ALL,"
            " CONSTRAINT {check} CHECK (occurred_at >= {since} AND occurred_at < {until}))"
            " WITH (autovacuum_vacuum_insert_scale_factor = 0.05)"
        ).format(**names, **bounds)
    )


async def _move(direct: DirectConnection, day: date, since: datetime, until: datetime) -> int:
    move = _MOVE.format(day=sql.Identifier(_name_of(day)))
    [[moved]] = await direct.execute(move, {"since": since, "until": until})
    return int(moved)


async def _attach(direct: DirectConnection, day: date, since: datetime, until: datetime, *, is_guarded: bool) -> int:
    """The table becomes a partition; the parent is locked, so that no row is on its way into the default one."""
    await direct.execute(sql.SQL("LOCK TABLE ONLY validation_events IN ACCESS EXCLUSIVE MODE"))
    late = 0 if is_guarded else await _move(direct, day, since, until)
    names = {"day": sql.Identifier(_name_of(day)), "check": sql.Identifier(_check_of(day))}
    bounds = {"since": sql.Literal(since), "until": sql.Literal(until)}
    attach = "ALTER TABLE validation_events ATTACH PARTITION {day} FOR VALUES FROM ({since}) TO ({until})"
    await direct.execute(sql.SQL(attach).format(**names, **bounds))
    await direct.execute(sql.SQL("ALTER TABLE {day} DROP CONSTRAINT {check}").format(**names))
    if is_guarded:
        await _drop_guard(direct, _guard_of(day))
    return late


async def _add_guard(direct: DirectConnection, day: date, since: datetime, until: datetime) -> None:
    add = sql.SQL(
        "ALTER TABLE {table} ADD CONSTRAINT {guard} CHECK (occurred_at < {since} OR occurred_at >= {until}) NOT VALID"
    )
    names = {"table": sql.Identifier(DEFAULT), "guard": sql.Identifier(_guard_of(day))}
    await direct.execute(add.format(**names, since=sql.Literal(since), until=sql.Literal(until)))


async def _drop_guard(direct: DirectConnection, name: str) -> None:
    drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}")
    await direct.execute(drop.format(sql.Identifier(DEFAULT), sql.Identifier(name)))


def _name_of(day: date) -> str:
    return f"validation_events_{day:%Y%m%d}"


def _check_of(day: date) -> str:
    return f"ck_{_name_of(day)}_day"


def _guard_of(day: date) -> str:
    return f"{_GUARD_PREFIX}{day:%Y%m%d}"


def _day_of(name: str, bounds: Any) -> date | None:
    """The day of a partition that has our name for exactly that day, as a session in UTC shows its bounds."""
    match = _BOUNDS.fullmatch(bounds)
    if match is None:
        return None
    try:
        since, until = (datetime.fromisoformat(text).astimezone(UTC) for text in match.groups())
    except ValueError:
        return None
    day = since.date()
    return day if (name, since, until) == (_name_of(day), start_of(day), start_of(day) + DAY) else None
