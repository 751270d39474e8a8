"""Databases beside the live one: made like it, filled by somebody else, and dropped again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.db.direct import DirectConnection, direct_connection
from app.domain.backups import ScratchDatabaseRefused
from app.domain.errors import DatabaseUnavailable

COMMON_DATABASES = ("postgres", "template1")
"""What a cluster has beside the live database, to be signed in at while others are made, renamed or dropped."""

# The columns differ from version to version, and so do their names.
_READ_SHAPE = sql.SQL(
    "SELECT to_jsonb(d), pg_encoding_to_char(d.encoding) FROM pg_database d WHERE d.datname = current_database()"
)
_READ_RIGHT = sql.SQL("SELECT rolcreatedb OR rolsuper, quote_ident(rolname) FROM pg_roles WHERE rolname = current_user")
_LIST = sql.SQL("SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY 1")
_PROVIDERS = {"b": "builtin", "c": "libc", "i": "icu"}


@dataclass(frozen=True, slots=True)
class DatabaseShape:
    """What is chosen once, when a database is made: its encoding, and by whose rules text is sorted."""

    encoding: str
    provider: str
    collate: str
    ctype: str
    locale: str | None = None
    icu_rules: str | None = None


PLAIN = DatabaseShape("UTF8", "libc", "C", "C")
"""What every PostgreSQL can make."""


def address_of(url: str, name: str) -> str:
    """The address of another database of the same cluster, for the same role."""
    return make_conninfo(url, dbname=name)


def database_of(url: str) -> str:
    """The name of the database at an address; the role's when it names none, as libpq has it."""
    given = conninfo_to_dict(url)
    return str(given.get("dbname") or given.get("user") or "")


@asynccontextmanager
async def beside(url: str) -> AsyncIterator[DirectConnection]:
    """A session on the cluster, in another database than the address names wherever the role is let into one."""
    own = database_of(url)
    others = [name for name in COMMON_DATABASES if name != own]
    async with AsyncExitStack() as stack:
        for name in others:
            try:
                direct = await stack.enter_async_context(direct_connection(address_of(url, name)))
                break
            except DatabaseUnavailable:
                continue
        else:
            direct = await stack.enter_async_context(direct_connection(url))
        with direct.translated():
            yield direct


async def read_shape(direct: DirectConnection) -> DatabaseShape:
    """The shape of the database that the session is in."""
    [(row, encoding)] = await direct.execute(_READ_SHAPE)
    return DatabaseShape(
        encoding=encoding,
        provider=_PROVIDERS[row["datlocprovider"]],
        collate=row["datcollate"],
        ctype=row["datctype"],
        locale=row.get("datlocale") or row.get("daticulocale"),
        icu_rules=row.get("daticurules"),
    )


async def require_right(direct: DirectConnection) -> None:
    """Raise ScratchDatabaseRefused when the session's role may not make databases."""
    [(may_create, role)] = await direct.execute(_READ_RIGHT)
    if not may_create:
        raise ScratchDatabaseRefused(
            f"The role {role} may not make databases, and a backup is restored into one of its own: have a superuser"
            f" run ALTER ROLE {role} CREATEDB;"
        )


async def create(direct: DirectConnection, name: str, shape: DatabaseShape) -> None:
    """Make an empty database; raises ScratchDatabaseRefused where the cluster can't make one of this shape."""
    try:
        await direct.execute(_creation(name, shape))
    except errors.InsufficientPrivilege:
        await require_right(direct)
        raise
    except (
        errors.FeatureNotSupported,
        errors.InvalidParameterValue,
        errors.WrongObjectType,
        errors.InvalidObjectDefinition,
        errors.UndefinedObject,
        errors.SyntaxError,
    ) as error:
        reason = error.diag.message_primary
        raise ScratchDatabaseRefused(f"The cluster can't make a database like the live one: {reason}.") from error


async def drop(direct: DirectConnection, name: str, *, is_forced: bool) -> bool:
    """Drop a database if it is there; False when somebody is in it, who is thrown out when `is_forced`."""
    force = sql.SQL(" WITH (FORCE)") if is_forced else sql.SQL("")
    try:
        await direct.execute(sql.SQL("DROP DATABASE IF EXISTS {}{}").format(sql.Identifier(name), force))
    except errors.ObjectInUse:
        return False
    return True


async def list_databases(direct: DirectConnection, prefix: str) -> Sequence[str]:
    """The cluster's databases whose names begin like this."""
    return [name for (name,) in await direct.execute(_LIST, [prefix])]


def _creation(name: str, shape: DatabaseShape) -> sql.Composed:
    words = [
        sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)),
        sql.SQL("ENCODING {}").format(sql.Literal(shape.encoding)),
        sql.SQL("LOCALE_PROVIDER {}").format(sql.SQL(shape.provider)),
        sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(sql.Literal(shape.collate), sql.Literal(shape.ctype)),
    ]
    if shape.provider != "libc" and shape.locale is not None:
        words.append(sql.SQL(f"{shape.provider.upper()}_LOCALE {{}}").format(sql.Literal(shape.locale)))
    if shape.icu_rules is not None:
        words.append(sql.SQL("ICU_RULES {}").format(sql.Literal(shape.icu_rules)))
    return sql.SQL(" ").join(words)
