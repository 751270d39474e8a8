"""Queries over everything that is stored encrypted, for the change of the key it is encrypted with.

Whoever holds the keys works on the installation as a whole: there is no tenant to ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func, select, tuple_, update

from app.db.models import Model
from app.db.session import Session

SUFFIX = "_encrypted"


def encrypted_columns() -> list[tuple[str, str]]:
    """Every table and column that holds what the vault encrypted; their names say so."""
    return [
        (table.name, column.name)
        for table in Model.metadata.sorted_tables
        for column in table.columns
        if column.name.endswith(SUFFIX)
    ]


async def count_encrypted(tx: Session, place: tuple[str, str]) -> int:
    """How many values a column holds."""
    table = _table(place)
    return await tx.scalar(select(func.count()).select_from(table).where(_column(place).is_not(None))) or 0


async def list_encrypted(
    tx: Session, place: tuple[str, str], *, after: tuple[Any, ...] | None, limit: int
) -> Sequence[tuple[tuple[Any, ...], bytes]]:
    """Rows by primary key: the key, and what is encrypted."""
    identity = _identity(place)
    query = select(*identity, _column(place)).where(_column(place).is_not(None)).order_by(*identity).limit(limit)
    if after is not None:
        query = query.where(tuple_(*identity) > tuple_(*after))
    return [(tuple(row[:-1]), row[-1]) for row in (await tx.execute(query)).all()]


async def replace_encrypted(
    tx: Session, place: tuple[str, str], identity: tuple[Any, ...], old: bytes, new: bytes
) -> None:
    """Put the new value where the old one still stands; whoever changed it meanwhile has used the new key."""
    is_row = and_(*(column == value for column, value in zip(_identity(place), identity, strict=True)))
    column = _column(place)
    await tx.execute(update(_table(place)).where(is_row, column == old).values({column.name: new}))


def _table(place: tuple[str, str]) -> Table:
    return Model.metadata.tables[place[0]]


def _column(place: tuple[str, str]) -> ColumnElement[bytes]:
    return _table(place).columns[place[1]]


def _identity(place: tuple[str, str]) -> list[ColumnElement[Any]]:
    return list(_table(place).primary_key.columns)
