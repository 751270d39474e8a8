"""Driver errors become the families that the house knows, and defects stay defects."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy.exc
from psycopg import errors as pg

from app.db.errors import translate, translated
from app.domain.errors import Conflict, DatabaseFull, DatabaseUnavailable, DomainError


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("connection refused"),
        psycopg.InterfaceError("the connection is closed"),
        pg.AdminShutdown("terminating connection"),
        pg.CannotConnectNow("the database system is starting up"),
        pg.TooManyConnections("too many clients"),
        pg.QueryCanceled("statement timeout"),
        pg.IdleInTransactionSessionTimeout("terminating connection"),
        pg.ReadOnlySqlTransaction("cannot execute INSERT"),
        pg.OutOfMemory("out of memory"),
        pg.LockNotAvailable("lock timeout"),
        pg.DeadlockDetected("deadlock detected"),
        pg.SerializationFailure("could not serialize"),
        psycopg.InternalError("received 2 results from command 'COMMIT'"),
        ConnectionResetError("reset by peer"),
        TimeoutError("not done"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_database_that_is_away_full_or_busy_is_unavailable(error: Exception) -> None:
    assert type(translate(error)) is DatabaseUnavailable


def test_a_broken_reference_is_a_conflict() -> None:
    assert type(translate(pg.ForeignKeyViolation("violates foreign key"))) is Conflict


@pytest.mark.parametrize(
    "error",
    [
        pg.UndefinedTable("no such table"),
        pg.CheckViolation("violates check"),
        pg.NotNullViolation("null value"),
        pg.InternalError_("cache lookup failed"),
        pg.DivisionByZero("division by zero"),
        psycopg.DataError("NUL"),
        ValueError("ours"),
        None,
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_defect_is_not_translated(error: Exception | None) -> None:
    assert translate(error) is None


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("refused"),
        TimeoutError("late"),
        sqlalchemy.exc.TimeoutError("pool"),
        sqlalchemy.exc.OperationalError("SELECT 1", {}, psycopg.OperationalError("refused")),
    ],
    ids=lambda error: f"{type(error).__module__}.{type(error).__name__}",
)
def test_an_outage_shows_nothing_of_the_driver(error: Exception) -> None:
    with pytest.raises(DatabaseUnavailable) as caught, translated():
        raise error

    assert "refused" not in caught.value.message
    assert caught.value.__cause__ is error


def test_a_defect_passes_unchanged() -> None:
    defect = sqlalchemy.exc.ProgrammingError("SELECT", {}, pg.UndefinedTable("nowhere"))

    with pytest.raises(sqlalchemy.exc.ProgrammingError) as caught, translated():
        raise defect

    assert caught.value is defect


def test_an_error_of_the_domain_passes_unchanged() -> None:
    with pytest.raises(DomainError, match="as it is"), translated():
        raise Conflict("as it is")


def test_a_full_disk_is_told_as_one() -> None:
    assert type(translate(pg.DiskFull("could not extend file: No space left on device"))) is DatabaseFull
