"""Driver errors translated to the families that the rest of the house knows."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
import sqlalchemy.exc
from psycopg import errors as pg

from app.domain.errors import AlreadyExists, Conflict, DatabaseFull, DatabaseUnavailable, DomainError, LicenseKeyTaken
from app.telemetry import metrics
from app.telemetry.logging import log
from app.telemetry.seldom import Seldom

_BY_CONSTRAINT: Mapping[str, type[DomainError]] = {
    "uq_licenses_license_key_hash": LicenseKeyTaken,
}

logger = logging.getLogger(__name__)
_outage = Seldom(5)

AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    pg.ReadOnlySqlTransaction,
    pg.DiskFull,
    pg.InsufficientResources,
    pg.IdleInTransactionSessionTimeout,
)
"""What the driver raises when the database is away, full, read-only or too busy: not our defect, try again."""


def log_outage(error: BaseException) -> None:
    """Write why the database can't be used, as an error, at most once in five seconds."""
    if _outage.is_due():
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        log(logger, logging.ERROR, "The database can't be used", event="database_outage", reason=reason)


@contextmanager
def translated() -> Iterator[None]:
    """Raise a DomainError where the driver reports an outage or a broken constraint; let defects through."""
    try:
        yield
    except sqlalchemy.exc.TimeoutError as error:
        metrics.db_pool_timeouts.inc()
        raise DatabaseUnavailable("All database connections are in use; try again in a moment.") from error
    except TimeoutError as error:
        raise DatabaseUnavailable from error
    except sqlalchemy.exc.DBAPIError as error:
        raise translate(error.orig) or error from error
    except psycopg.Error as error:
        raise translate(error) or error from error


def translate(error: BaseException | None) -> DomainError | None:
    """The DomainError that a driver error stands for, or None for a defect of ours."""
    if isinstance(error, pg.UniqueViolation):
        constraint = error.diag.constraint_name or ""
        return _BY_CONSTRAINT.get(constraint, AlreadyExists)(None if constraint in _BY_CONSTRAINT else _taken(error))
    if isinstance(error, pg.ForeignKeyViolation):
        return Conflict("Something that this refers to was removed meanwhile; look again.")
    if isinstance(error, pg.LockNotAvailable | pg.DeadlockDetected | pg.SerializationFailure):
        return DatabaseUnavailable("Somebody else is changing the same thing; try again in a moment.")
    if isinstance(error, (*AWAY, OSError)):
        log_outage(error)
        return DatabaseFull() if isinstance(error, pg.DiskFull) else DatabaseUnavailable()
    if isinstance(error, psycopg.InternalError) and error.sqlstate is None:
        log_outage(error)
        return DatabaseUnavailable()  # the driver's own: a connection that ends within an answer leaves two results
    return None


def _taken(error: pg.UniqueViolation) -> str:
    table = (error.diag.table_name or "").replace("_", " ")
    constraint = error.diag.constraint_name or ""
    columns = constraint.removeprefix(f"uq_{error.diag.table_name}_").replace("_", " ")
    if constraint == f"pk_{error.diag.table_name}":
        columns = "id"
    return f"There is one among the {table} with the same {columns} already."
