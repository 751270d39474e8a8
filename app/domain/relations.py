"""Names of tables and indexes as people write them: `licenses`, `public.licenses`, `"Odd schema"."Odd name"`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import FieldError, Invalid

_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
MAX_TOLD = 10


class UnknownTables(Invalid):
    """`tables` names what is no table of this database; see `GET /admin/database/tables`."""

    code = "UNKNOWN_TABLES"

    @classmethod
    def at(cls, unknown: Sequence[tuple[int, str]]) -> UnknownTables:
        """The refusal of these names, each with its place in the list."""
        sentence = f"There is no such table here: {_listed(unknown)}. System catalogs and views don't count."
        return cls(sentence, errors=_errors("tables", "table", unknown))


class UnknownIndexes(Invalid):
    """`indexes` names what is no index of this database; see `GET /admin/database/indexes`."""

    code = "UNKNOWN_INDEXES"

    @classmethod
    def at(cls, unknown: Sequence[tuple[int, str]]) -> UnknownIndexes:
        """The refusal of these names, each with its place in the list."""
        sentence = f"There is no such index here: {_listed(unknown)}. Those of system catalogs don't count."
        return cls(sentence, errors=_errors("indexes", "index", unknown))


class RelationKind(StrEnum):
    """What a name is looked for among: tables (partitioned ones and materialized views, too), or indexes."""

    TABLE = "table"
    INDEX = "index"


@dataclass(frozen=True, slots=True)
class RelationName:
    """A name as the catalog has it; without a schema it is looked for on the search path."""

    schema: str | None
    name: str


def read_name(text: str) -> tuple[RelationName, ...]:
    """What may be meant, the likeliest first: as it was written, then folded as SQL does; nothing if unreadable."""
    parts: list[tuple[str, bool]] = []
    rest = text.strip()
    while True:
        match = _PART.match(rest)
        if match is None:
            return ()
        quoted, bare = match.groups()
        parts.append((quoted.replace('""', '"'), True) if quoted else (bare.strip(), False))
        rest = rest[match.end() :]
        if not rest:
            break
        if not rest.startswith("."):
            return ()
        rest = rest[1:]
    if len(parts) > 2:
        return ()
    exact = [part for part, _ in parts]
    folded = [part if is_quoted else part.lower() for part, is_quoted in parts]
    return tuple(dict.fromkeys(_name(one) for one in (exact, folded)))


def _name(parts: list[str]) -> RelationName:
    return RelationName(parts[0], parts[1]) if len(parts) == 2 else RelationName(None, parts[0])


def _errors(field: str, noun: str, unknown: Sequence[tuple[int, str]]) -> tuple[FieldError, ...]:
    return tuple(FieldError(f"{field}.{place}", f"there is no {noun} {name}") for place, name in unknown[:MAX_TOLD])


def _listed(unknown: Sequence[tuple[int, str]]) -> str:
    names = ", ".join(name for _, name in unknown[:MAX_TOLD])
    return names if len(unknown) <= MAX_TOLD else f"{names} and {len(unknown) - MAX_TOLD} more"
