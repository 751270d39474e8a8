"""Errors: six families, and a code of its own and a meaning for each error."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator

import pytest

import app
from app.domain.errors import (
    Conflict,
    Denied,
    DomainError,
    FieldError,
    Invalid,
    LicenseNotFound,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)

FAMILIES = (NotFound, Conflict, Denied, Invalid, TooMany, Unavailable)
DOORS = (Unauthenticated,)


def all_errors() -> list[type[DomainError]]:
    """Every DomainError of the application, wherever it is defined."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if not module.name.endswith("__main__") and module.name != "app.main":
            importlib.import_module(module.name)
    return sorted(_below(DomainError), key=lambda error: error.__name__)


def _below(error: type[DomainError]) -> Iterator[type[DomainError]]:
    for child in error.__subclasses__():
        yield child
        yield from _below(child)


ERRORS = all_errors()


def test_errors_were_found() -> None:
    assert len(ERRORS) > 20
    assert LicenseNotFound in ERRORS


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_belongs_to_exactly_one_family(error: type[DomainError]) -> None:
    assert len([family for family in (*FAMILIES, *DOORS) if issubclass(error, family)]) == 1


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_has_a_code_and_a_meaning_of_its_own(error: type[DomainError]) -> None:
    assert "code" in vars(error), "an inherited code tells callers nothing new"
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error.code)
    assert error.__doc__
    assert error.__doc__ != DomainError.__doc__
    assert "\n" not in error.__doc__.strip(), "the docstring is shown as the message"


def test_no_two_errors_have_the_same_code() -> None:
    assert [code for code, times in Counter(error.code for error in ERRORS).items() if times > 1] == []


def test_the_message_is_the_meaning_unless_another_one_is_given() -> None:
    assert LicenseNotFound().message == "There is no license with this id."
    assert LicenseNotFound("Look elsewhere.").message == "Look elsewhere."
    assert str(LicenseNotFound("Look elsewhere.")) == "Look elsewhere."


def test_an_error_can_name_the_fields_that_are_wrong() -> None:
    error = Invalid(errors=(FieldError("name", "is empty"),))

    assert error.errors == (FieldError(field="name", message="is empty"),)
    assert Invalid().errors == ()


def test_unavailable_says_when_to_try_again() -> None:
    assert Unavailable.retry_after_seconds == 1
