"""Secrets that the installation made for itself, such as the one that seals the audit trail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model


class InstallationSecret(Model):
    """A secret by name, encrypted with ENCRYPTION_KEY."""

    __tablename__ = "installation_secrets"

    name: Mapped[str] = mapped_column(primary_key=True)
    value_encrypted: Mapped[bytes]
    created_at: Mapped[datetime]
