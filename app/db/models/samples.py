"""Samples: what the database looked like on each day, to tell growth and change."""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Model


class SizeSample(Model):
    """How many bytes something had on a day: a table with its indexes by `schema.table`, or `database` altogether."""

    __tablename__ = "size_samples"

    day: Mapped[date] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class StatementSample(Model):
    """What a normalised statement had cost up to a day, in calls and milliseconds since the statistics began."""

    __tablename__ = "statement_samples"

    day: Mapped[date] = mapped_column(primary_key=True)
    query_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    query: Mapped[str]
    calls: Mapped[int] = mapped_column(BigInteger)
    total_milliseconds: Mapped[float]
