"""Queries over the record of archives, which is the installation's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from uuid import UUID

from psycopg import sql
from sqlalchemy import select

from app.db.direct import DirectConnection
from app.db.models import Archive
from app.db.session import Session
from app.domain.archives import ArchiveFile
from app.domain.retention import Kind

_RECORD = sql.SQL(
    "INSERT INTO archives (id, kind, subject, file_name, rows, bytes, sha256, since, until, created_at)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)


async def record_archive(direct: DirectConnection, archive: ArchiveFile) -> None:
    """Put a file on record, in the transaction that removes what is in it."""
    await direct.execute(_RECORD, astuple(archive))


async def list_file_names(tx: Session, kind: Kind) -> Sequence[str]:
    """The names of all archives of a kind."""
    return (await tx.scalars(select(Archive.file_name).where(Archive.kind == kind))).all()


async def list_archives(tx: Session, *, before: UUID | None, limit: int) -> Sequence[Archive]:
    """The archives on record, newest first."""
    query = select(Archive).order_by(Archive.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Archive.id < before)
    return (await tx.scalars(query)).all()
