"""Queries over a database that was just restored: whether it is whole, and can be worked with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import errors, sql

from app.db.direct import DirectConnection

_ROLE = r'("(?:[^"]|"")+"|[^\s",;]+)'
_GRANTEES = re.compile(rf"^\s*(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES)\b.*?\b(?:TO|FROM) {_ROLE}[^;]*;", re.MULTILINE)
_AUTHORS = re.compile(rf"\b(?:FOR ROLE|SET SESSION AUTHORIZATION) {_ROLE}")
_ANALYZE = sql.SQL("ANALYZE")
_LIST_MISSING_ROLES = sql.SQL(
    "SELECT name FROM unnest(%s::text[]) AS name WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)"
)
_LIST_STRANGERS = sql.SQL(
    "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s::text[]) AND NOT pg_has_role(current_user, oid, 'MEMBER')"
)
_LIST_INVALID = sql.SQL(
    "SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' ORDER BY 1"
)
_LIST_UNCHECKED = sql.SQL(
    "SELECT format('%s on %s', conname, conrelid::regclass) FROM pg_constraint WHERE NOT convalidated"
    " AND conrelid <> 0 ORDER BY 1"
)
_MAKE_AMCHECK = sql.SQL("CREATE EXTENSION amcheck")
_HAS_AMCHECK = sql.SQL(
    "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck'),"
    " EXISTS (SELECT FROM pg_extension WHERE extname = 'amcheck')"
)
_LIST_INDEXES = sql.SQL(
    "SELECT c.oid, c.oid::regclass::text FROM pg_class c JOIN pg_am a ON a.oid = c.relam"
    " JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'i' AND a.amname = 'btree' AND i.indisvalid AND c.relpersistence = 'p'"
    r" AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 2"
)
_LIST_HEAPS = sql.SQL(
    "SELECT c.oid, c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p'"
    r" AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' ORDER BY 2"
)
_CHECK_INDEX = sql.SQL("SELECT bt_index_check(%s::oid::regclass, true)")
_CHECK_HEAP = sql.SQL("SELECT msg FROM verify_heapam(%s::oid::regclass) LIMIT 1")
# One that may be used comes first: its validation says the most.
_PICK_LICENSE = sql.SQL(
    "SELECT license_key_encrypted, license_key_hash FROM public.licenses"
    " ORDER BY status = 'ACTIVE' DESC, id DESC LIMIT 1"
)
_READ_ENCRYPTED = "SELECT {column} FROM public.{table} WHERE {column} IS NOT NULL LIMIT {limit}"


@dataclass(frozen=True, slots=True)
class StoredLicense:
    """A license's key as it is stored."""

    license_key_encrypted: bytes
    license_key_hash: bytes


async def can_grant(direct: DirectConnection, statements: str) -> bool:
    """Whether every role that these statements name is there, and we may act for those in whose name they grant."""
    authors = _names(_AUTHORS.findall(statements))
    roles = _names(_GRANTEES.findall(statements)) | authors
    missing = await direct.execute(_LIST_MISSING_ROLES, [sorted(roles)])
    return not missing and not await direct.execute(_LIST_STRANGERS, [sorted(authors)])


async def analyze(direct: DirectConnection) -> None:
    """Gather the planner's statistics of every table."""
    await direct.execute(_ANALYZE)


async def list_invalid_indexes(direct: DirectConnection) -> Sequence[str]:
    """Indexes that answer nothing."""
    return [name for (name,) in await direct.execute(_LIST_INVALID)]


async def list_unchecked_constraints(direct: DirectConnection) -> Sequence[str]:
    """Constraints that hold for new rows alone; they come so from the live database."""
    return [name for (name,) in await direct.execute(_LIST_UNCHECKED)]


async def find_broken_object(direct: DirectConnection) -> str | None:
    """What amcheck says of the first table or index that is broken; None when all are whole.

    Raises AmcheckMissing. The extension is made in a transaction that is rolled back, so that it is not left.
    """
    available, present = (await direct.execute(_HAS_AMCHECK))[0]
    if not available:
        raise AmcheckMissing("the server does not have it")
    async with direct.connection.transaction(force_rollback=True):
        if not present:
            try:
                await direct.execute(_MAKE_AMCHECK)
            except errors.InsufficientPrivilege as error:
                raise AmcheckMissing("only a superuser may make the extension") from error
        try:
            return await _find_broken(direct)
        except errors.InsufficientPrivilege as error:
            raise AmcheckMissing("the role may not use it") from error


class AmcheckMissing(Exception):
    """The extension can't be used here; its message says why."""


async def find_license(direct: DirectConnection) -> StoredLicense | None:
    """A license to try out, one that may be used where there is one; None in an installation without licenses."""
    rows = await direct.execute(_PICK_LICENSE)
    return StoredLicense(*rows[0]) if rows else None


async def list_encrypted(direct: DirectConnection, table: str, column: str, *, limit: int) -> Sequence[bytes]:
    """Some values of a column that holds what the vault encrypted."""
    query = sql.SQL(_READ_ENCRYPTED).format(
        table=sql.Identifier(table), column=sql.Identifier(column), limit=sql.Literal(limit)
    )
    return [value for (value,) in await direct.execute(query)]


async def _find_broken(direct: DirectConnection) -> str | None:
    for oid, name in await direct.execute(_LIST_INDEXES):
        try:
            async with direct.connection.transaction():
                await direct.execute(_CHECK_INDEX, [oid])
        except (errors.IndexCorrupted, errors.DataCorrupted) as error:
            return f"{name}: {error.diag.message_primary}"
    for oid, name in await direct.execute(_LIST_HEAPS):
        for (message,) in await direct.execute(_CHECK_HEAP, [oid]):
            return f"{name}: {message}"
    return None


def _names(quoted: Sequence[str]) -> set[str]:
    """The names of roles as the catalog has them; PUBLIC is none."""
    plain = {name[1:-1].replace('""', '"') if name.startswith('"') else name for name in quoted}
    return plain - {"PUBLIC", "DEFAULT"}
