"""Databases of a cluster that take each other's place; all on a session in a third one, the control database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql
from sqlalchemy import text

from app.db.direct import DirectConnection, direct_connection
from app.db.scratch import DatabaseShape, read_shape
from app.db.session import Session
from app.domain.errors import DatabaseUnavailable
from app.domain.restores import PutAway, RestoreRefused, Story, SwapFailed

SWAP_SECONDS = 8.0
"""A rename itself gives up after 5 s in which sessions are left."""

_EXISTS = sql.SQL("SELECT EXISTS (SELECT FROM pg_database WHERE datname = %s)")
_RIGHTS = sql.SQL(
    "SELECT quote_ident(r.rolname), r.rolsuper, r.rolsuper OR r.rolcreatedb,"
    " coalesce((SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database d WHERE d.datname = %(live)s), true),"
    " (SELECT count(*) FROM pg_prepared_xacts WHERE database = %(live)s)"
    " FROM pg_roles r WHERE r.rolname = current_user"
)
_UNTOUCHABLE = sql.SQL(
    "SELECT DISTINCT quote_ident(a.usename) FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid"
    " WHERE a.datname = %s AND (r.rolsuper OR NOT (pg_has_role(r.oid, 'USAGE')"
    " OR pg_has_role('pg_signal_backend', 'USAGE')))"
    " AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) ORDER BY 1"
)
# Whoever may not read all statistics does not see which kind of session another role's is.
_TERMINATE = sql.SQL(
    "SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid)) FROM pg_stat_activity a"
    " JOIN pg_roles r ON r.oid = a.usesysid JOIN pg_roles we ON we.rolname = current_user"
    " WHERE a.datname = %s AND a.pid <> pg_backend_pid()"
    " AND (we.rolsuper OR NOT r.rolsuper"
    " AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE')))"
)
_COMMENT = sql.SQL("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s")
_OTHER_OWNER = sql.SQL(
    "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class"
    " WHERE oid = to_regclass('public.alembic_version') AND pg_get_userbyid(relowner) <> current_user"
)
_REVISION = sql.SQL("SELECT version_num FROM public.alembic_version")
_HAS_TABLE = sql.SQL("SELECT to_regclass('public.alembic_version') IS NOT NULL")
_IS_EMPTY = sql.SQL(
    "SELECT NOT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND n.nspname <> 'information_schema'"
    r" AND n.nspname NOT LIKE 'pg\_%' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid"
    " AND d.classid = 'pg_class'::regclass AND d.deptype = 'e'))"
)
_EXTENSIONS = sql.SQL("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
_GRANTS = sql.SQL(
    "SELECT g.rolname, a.privilege_type, a.is_grantable FROM pg_database d CROSS JOIN aclexplode(d.datacl) a"
    " LEFT JOIN pg_roles g ON g.oid = a.grantee WHERE d.datname = %s AND (a.grantee = 0 OR g.rolname IS NOT NULL)"
)
_TERMS = sql.SQL(
    "SELECT datacl IS NOT NULL, datconnlimit, pg_get_userbyid(datdba) = current_user, pg_get_userbyid(datdba)"
    " FROM pg_database WHERE datname = %s"
)
_SETTINGS = sql.SQL(
    "SELECT r.rolname, split_part(one, '=', 1), substr(one, strpos(one, '=') + 1)"
    " FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole"
    " CROSS JOIN unnest(s.setconfig) AS one WHERE d.datname = %s"
)
_PUT_AWAY = (
    "SELECT datname, CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END,"
    " shobj_description(oid, 'pg_database') FROM pg_database WHERE NOT datistemplate"
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What our role may do in the cluster; names are quoted. The sessions of `untouchable` roles we can't end."""

    role: str
    is_superuser: bool
    may_create: bool
    is_owner: bool
    prepared: int
    untouchable: Sequence[str]


@dataclass(frozen=True, slots=True)
class Inside:
    """What is in a database. `revision` is its schema's, None when it is not a license server's; `other_owner` is whom
    its tables belong to, quoted, when that is not our role.
    """

    shape: DatabaseShape
    is_empty: bool
    revision: str | None
    other_owner: str | None
    extensions: Sequence[str]


async def read_rights(control: DirectConnection, live: str) -> Rights:
    """What our role may do with the live database."""
    [(role, is_superuser, may_create, is_owner, prepared)] = await control.execute(_RIGHTS, {"live": live})
    untouchable = [name for (name,) in await control.execute(_UNTOUCHABLE, [live])]
    return Rights(role, is_superuser, may_create, is_owner, prepared, untouchable)


async def has_database(control: DirectConnection, name: str) -> bool:
    """Whether the cluster has a database of this name."""
    [(found,)] = await control.execute(_EXISTS, [name])
    return bool(found)


async def read_comment(control: DirectConnection, name: str) -> str | None:
    """A database's comment."""
    [(comment,)] = await control.execute(_COMMENT, [name])
    return None if comment is None else str(comment)


async def look_into(url: str) -> Inside | None:
    """What is in the database at an address; None when it is missing or damaged."""
    try:
        async with direct_connection(url) as direct:
            return Inside(
                shape=await read_shape(direct),
                is_empty=bool(await _value(direct, _IS_EMPTY)),
                revision=await _value(direct, _REVISION) if await _value(direct, _HAS_TABLE) else None,
                other_owner=await _value(direct, _OTHER_OWNER),
                extensions=[name for (name,) in await direct.execute(_EXTENSIONS)],
            )
    except (DatabaseUnavailable, psycopg.Error):
        return None


async def create_extension(direct: DirectConnection, name: str) -> str | None:
    """Make an extension where it is missing; why not, if it can't be made."""
    try:
        await direct.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        return f"The extension {name} could not be made: {error.diag.message_primary}"
    return None


async def copy_terms(control: DirectConnection, source: str, target: str) -> list[str]:
    """Who may connect, how many, and the settings of one database, given to another; what was not possible."""
    [(has_grants, limit, is_ours, owner)] = await control.execute(_TERMS, [source])
    left = []
    database = sql.Identifier(target)
    statements = [sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(database, sql.Literal(limit))]
    if has_grants:
        statements.append(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role, privilege, is_grantable in await control.execute(_GRANTS, [source]):
        statements.append(
            sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                sql.SQL(privilege),  # the server's own word
                database,
                sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
                sql.SQL(" WITH GRANT OPTION" if is_grantable else ""),
            )
        )
    for statement in statements:
        left += await _try(control, statement)
    for role, name, value in await control.execute(_SETTINGS, [source]):
        left += await _copy_setting(control, target, role, name, value)
    if not is_ours:
        left += await _try(control, sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(owner)))
    return left


async def terminate_sessions(direct: DirectConnection, name: str) -> int:
    """End the sessions in a database, of everybody whose we may end; how many there were."""
    [(ended,)] = await direct.execute(_TERMINATE, [name])
    return int(ended)


async def swap(control: DirectConnection, live: str, incoming: str, away: str | None, story: Story) -> None:
    """In one transaction the live database is put away and the other one gets its name; without `away` there is none.

    Raises SwapFailed when nothing has changed, and DatabaseUnavailable when nobody knows.
    """
    with control.translated():
        try:
            async with control.limits(statement_seconds=SWAP_SECONDS), control.connection.transaction():
                if away is not None:
                    await _rename(control, live, away)
                    await _comment(control, away, story.as_text())
                await _rename(control, incoming, live)
                await _comment(control, live, story.comment)
        except psycopg.Error as error:
            if not control.is_open:
                raise
            said = error.diag.message_detail or error.diag.message_primary
            raise SwapFailed(f"The databases could not be exchanged, and everything is as before: {said}") from error


async def drop(control: DirectConnection, name: str) -> None:
    """Drop a database, harmless when it is gone; raises RestoreRefused while somebody is in it."""
    with control.translated():
        try:
            await control.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        except (pg.ObjectInUse, pg.InsufficientPrivilege) as error:
            raise RestoreRefused(f"{name} can't be dropped: {error.diag.message_primary}.") from error


async def list_put_away(tx: Session) -> Sequence[PutAway]:
    """The databases that were put away for the one we are in, the last one first."""
    live = await tx.scalar(text("SELECT current_database()"))
    rows = (await tx.execute(text(_PUT_AWAY))).all()
    return _put_away_of(str(live), [tuple(row) for row in rows])


async def read_put_away(control: DirectConnection, live: str) -> Sequence[PutAway]:
    """The same, of this database."""
    return _put_away_of(live, await control.execute(sql.SQL(_PUT_AWAY)))


def _put_away_of(live: str, rows: Sequence[tuple[object, ...]]) -> Sequence[PutAway]:
    found = []
    for name, size, comment in rows:
        story = Story.read(None if comment is None else str(comment))
        if story is not None and story.of == live and name != live:
            found.append(PutAway(str(name), size if isinstance(size, int) else None, story))
    return sorted(found, key=lambda one: one.story.since, reverse=True)


async def _value(direct: DirectConnection, query: sql.SQL) -> Any:
    found = await direct.execute(query)
    return found[0][0] if found else None


async def _rename(control: DirectConnection, old: str, new: str) -> None:
    await control.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)),
    )


async def _comment(control: DirectConnection, name: str, comment: str | None) -> None:
    await control.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(comment)),
    )


async def _copy_setting(control: DirectConnection, target: str, role: str | None, name: str, value: str) -> list[str]:
    """By way of our own session, so that lists are read as the server reads them."""
    whose = sql.SQL("DATABASE {}").format(sql.Identifier(target))
    if role is not None:
        whose = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), sql.Identifier(target))
    keep = sql.SQL("ALTER {} SET {} FROM CURRENT").format(
        whose, sql.SQL(".").join(map(sql.Identifier, name.split(".")))
    )
    try:
        async with control.connection.transaction():
            await control.execute(sql.SQL("SELECT set_config(%s, %s, true)"), [name, value])
            await control.execute(keep)
    except psycopg.Error as error:
        owner = "the database" if role is None else f"{role} in it"
        return [f"The setting {name} of {owner} could not be copied: {error.diag.message_primary}"]
    return []


async def _try(control: DirectConnection, statement: sql.Composed) -> list[str]:
    try:
        await control.execute(statement)
    except psycopg.Error as error:
        said = statement.as_string(control.connection)
        return [f"This could not be done: {said} ({error.diag.message_primary})"]
    return []
