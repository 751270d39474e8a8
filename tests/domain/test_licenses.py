"""When a license may be used: every combination of facts against an oracle, and the boundaries by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.domain.errors import InvalidPeriod, LicenseStateConflict, TooManyProducts
from app.domain.licenses import (
    REASONS,
    LicenseFacts,
    LicenseStatus,
    ValidationCode,
    ValidationQuestion,
    judge,
    require_period,
    require_product_count,
    require_status,
)
from app.domain.machines import MachineBinding, has_free_seat, hash_fingerprint

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
QUESTION = ValidationQuestion(b"\1" * 32)
FACTS = LicenseFacts(
    license_id=UUID(int=1),
    organization_name="Acme Corp",
    is_organization_suspended=False,
    tier="PROFESSIONAL",
    status=LicenseStatus.ACTIVE,
    max_users=None,
    max_products=None,
    max_machines=2,
    products=("ninja", "sensei"),
    features={"sso": True, "sla": False},
    starts_at=None,
    expires_at=None,
    is_trial=False,
    trial_ends_at=None,
    machine_binding=MachineBinding.AUTOMATIC,
    is_machine_known=False,
    seats_taken=0,
)


DATES = (None, NOW - TICK, NOW, NOW + TICK)
TABLE: dict[str, tuple[Any, ...]] = {
    "is_organization_suspended": (False, True),
    "status": ("ACTIVE", "SUSPENDED", "REVOKED"),
    "starts_at": DATES,
    "trial": tuple(itertools.product((False, True), DATES)),
    "expires_at": DATES,
    "scope": tuple(itertools.product((None, "ninja", "other"), ((), ("sso",), ("sla",), ("sso", "unheard of")))),
    "machine": (
        *itertools.product(("AUTOMATIC", "EXPLICIT", "NONE"), (None,), (False,), (0, 2)),
        *itertools.product(("AUTOMATIC", "EXPLICIT", "NONE"), (b"\2" * 32,), (False, True), (0, 2)),
    ),
}


def combinations() -> Iterator[dict[str, Any]]:
    for values in itertools.product(*TABLE.values()):
        yield dict(zip(TABLE, values, strict=True))


def oracle(row: dict[str, Any]) -> str:
    """The documented order, in words of its own: every refusal that applies, then the first of them."""
    is_trial, trial_ends_at = row["trial"]
    product, entitlements = row["scope"]
    binding, fingerprint, is_known, seats = row["machine"]
    is_unknown_machine = fingerprint is not None and not is_known
    refusals = {
        "ORGANIZATION_SUSPENDED": row["is_organization_suspended"],
        "REVOKED": row["status"] == "REVOKED",
        "SUSPENDED": row["status"] == "SUSPENDED",
        "NOT_STARTED": row["starts_at"] == NOW + TICK,
        "TRIAL_EXPIRED": is_trial and trial_ends_at in (NOW, NOW - TICK),
        "EXPIRED": row["expires_at"] in (NOW, NOW - TICK),
        "PRODUCT_SCOPE_MISMATCH": product == "other",
        "ENTITLEMENTS_MISSING": "sla" in entitlements or "unheard of" in entitlements,
        "FINGERPRINT_SCOPE_REQUIRED": binding == "EXPLICIT" and fingerprint is None,
        "NO_MACHINE": binding == "EXPLICIT" and is_unknown_machine,
        "TOO_MANY_MACHINES": binding == "AUTOMATIC" and is_unknown_machine and seats == 2,
    }
    return next((code for code, applies in refusals.items() if applies), "VALID")


def facts_of(row: dict[str, Any]) -> LicenseFacts:
    binding, _, is_known, seats = row["machine"]
    return replace(
        FACTS,
        is_organization_suspended=row["is_organization_suspended"],
        status=LicenseStatus(row["status"]),
        starts_at=row["starts_at"],
        is_trial=row["trial"][0],
        trial_ends_at=row["trial"][1],
        expires_at=row["expires_at"],
        machine_binding=MachineBinding(binding),
        is_machine_known=is_known,
        seats_taken=seats,
    )


def test_every_combination_gives_the_first_refusal_of_the_documented_order() -> None:
    seen: dict[str, int] = {}
    for row in combinations():
        product, entitlements = row["scope"]
        question = replace(QUESTION, product_id=product, entitlements=entitlements, fingerprint_hash=row["machine"][1])

        verdict = judge(question, facts_of(row), NOW)

        expected = oracle(row)
        assert verdict.code == expected, row
        binding, fingerprint, is_known, _ = row["machine"]
        takes_seat = expected == "VALID" and binding == "AUTOMATIC" and fingerprint is not None and not is_known
        assert verdict.wants_seat is takes_seat, row
        seen[verdict.code] = seen.get(verdict.code, 0) + 1

    assert set(seen) == {code.value for code in ValidationCode} - {"NOT_FOUND"}


def test_an_unknown_license_key_is_not_found_and_shows_no_license() -> None:
    verdict = judge(QUESTION, None, NOW)

    assert (verdict.code, verdict.license, verdict.reason, verdict.is_valid) == (
        "NOT_FOUND",
        None,
        "Invalid license key",
        False,
    )


def test_refused_licenses_are_shown_with_the_refusal() -> None:
    facts = replace(FACTS, expires_at=NOW)

    verdict = judge(QUESTION, facts, NOW)

    assert (verdict.code, verdict.license, verdict.is_valid) == ("EXPIRED", facts, False)


@pytest.mark.parametrize(
    ("field", "moment", "code"),
    [
        ("starts_at", NOW + TICK, "NOT_STARTED"),
        ("starts_at", NOW, "VALID"),
        ("expires_at", NOW + TICK, "VALID"),
        ("expires_at", NOW, "EXPIRED"),
        ("expires_at", datetime(2026, 3, 1, 13, 0, tzinfo=UTC).astimezone(), "VALID"),
    ],
)
def test_a_license_starts_at_its_first_moment_and_ends_before_its_last(field: str, moment: datetime, code: str) -> None:
    dates: dict[str, Any] = {field: moment}

    assert judge(QUESTION, replace(FACTS, **dates), NOW).code == code


def test_the_end_of_a_trial_means_nothing_to_a_license_that_is_none() -> None:
    facts = replace(FACTS, is_trial=False, trial_ends_at=NOW - timedelta(days=1))

    assert judge(QUESTION, facts, NOW).code == "VALID"


def test_a_known_machine_stays_valid_when_the_limit_was_lowered() -> None:
    facts = replace(FACTS, max_machines=1, seats_taken=3, is_machine_known=True)

    verdict = judge(replace(QUESTION, fingerprint_hash=b"\2" * 32), facts, NOW)

    assert (verdict.code, verdict.wants_seat) == ("VALID", False)


def test_a_license_without_limit_has_always_a_seat() -> None:
    facts = replace(FACTS, max_machines=None, seats_taken=10**6)

    assert judge(replace(QUESTION, fingerprint_hash=b"\2" * 32), facts, NOW).wants_seat


def test_a_license_of_no_products_allows_none_but_may_be_used_without_naming_one() -> None:
    facts = replace(FACTS, products=())

    assert judge(replace(QUESTION, product_id="ninja"), facts, NOW).code == "PRODUCT_SCOPE_MISMATCH"
    assert judge(QUESTION, facts, NOW).code == "VALID"


@pytest.mark.parametrize(
    ("limit", "taken", "is_free"), [(None, 99, True), (1, 0, True), (1, 1, False), (1, 2, False), (0, 0, False)]
)
def test_seats_are_free_below_the_limit(limit: int | None, taken: int, is_free: bool) -> None:
    assert has_free_seat(limit=limit, taken=taken) is is_free


def test_every_refusal_has_the_sentence_that_clients_show() -> None:
    assert set(REASONS) == set(ValidationCode)
    assert {code: REASONS[ValidationCode(code)] for code in CLIENT_SENTENCES} == CLIENT_SENTENCES
    assert REASONS[ValidationCode.VALID] is None
    assert all(REASONS[code] for code in ValidationCode if code is not ValidationCode.VALID)


CLIENT_SENTENCES = {
    "NOT_FOUND": "Invalid license key",
    "SUSPENDED": "License is suspended",
    "REVOKED": "License is cancelled",
    "EXPIRED": "License expired",
    "TRIAL_EXPIRED": "Trial period expired",
    "PRODUCT_SCOPE_MISMATCH": "Product not included in license",
    "TOO_MANY_MACHINES": "Maximum number of machines exceeded",
}


@pytest.mark.parametrize("status", list(LicenseStatus))
def test_a_status_is_allowed_exactly_when_it_is_named(status: LicenseStatus) -> None:
    for allowed in ((LicenseStatus.ACTIVE,), (LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED)):
        if status in allowed:
            require_status(status, allowed, "renewed")
        else:
            with pytest.raises(LicenseStateConflict, match=f"can be renewed; this one is {status.value}"):
                require_status(status, allowed, "renewed")


@pytest.mark.parametrize(
    ("starts_at", "ends_at"), [(None, None), (NOW, None), (None, NOW), (NOW, NOW + TICK), (NOW - TICK, NOW)]
)
def test_a_period_may_be_open_at_either_end(starts_at: datetime | None, ends_at: datetime | None) -> None:
    require_period(starts_at, ends_at)


@pytest.mark.parametrize("ends_at", [NOW, NOW - TICK])
def test_a_period_must_last(ends_at: datetime) -> None:
    with pytest.raises(InvalidPeriod):
        require_period(NOW, ends_at)


@pytest.mark.parametrize(("count", "limit"), [(0, 0), (2, 2), (2, None), (2, 3)])
def test_as_many_products_as_the_limit_may_be_named(count: int, limit: int | None) -> None:
    require_product_count(("product",) * count, limit)


def test_more_products_than_the_limit_are_refused_with_both_numbers() -> None:
    with pytest.raises(TooManyProducts, match="names 3 products, but `maxProducts` is 2"):
        require_product_count(("a", "b", "c"), 2)


def test_a_fingerprint_is_hashed_with_sha_256() -> None:
    expected = bytes.fromhex("f7a7266df8b420793d51b92561955db28792ce00570593d47d44d954189b3685")

    assert hash_fingerprint("machine-1") == expected
