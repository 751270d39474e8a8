"""Secrets that the installation keeps for itself, by name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert

from app.db.models import InstallationSecret
from app.db.session import Session


async def find_secret(tx: Session, name: str) -> InstallationSecret | None:
    """The secret with this name, encrypted."""
    return await tx.get(InstallationSecret, name, populate_existing=True)


async def put_secret(tx: Session, name: str, value_encrypted: bytes, *, now: datetime) -> None:
    """Keep a secret under this name, in place of the one before."""
    values = {"value_encrypted": value_encrypted, "created_at": now}
    statement = insert(InstallationSecret).values(name=name, **values)
    await tx.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
