"""Codes of second factors."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.second_factors import bare_code, make_recovery_code, matching_step, setup_uri

SECRET = base64.b32encode(b"12345678901234567890").decode()
"""The secret of the test vectors in RFC 6238, appendix B."""


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    now = datetime.fromtimestamp(seconds, UTC)

    assert matching_step(SECRET, code, last_step=None, now=now) == seconds // 30


@pytest.mark.parametrize(("late_by", "step"), [(-60, None), (-30, 41152263), (0, 41152263), (30, 41152263), (60, None)])
def test_a_code_is_taken_one_step_early_or_late(late_by: int, step: int | None) -> None:
    now = datetime.fromtimestamp(1234567890, UTC) + timedelta(seconds=late_by)

    assert matching_step(SECRET, "005924", last_step=None, now=now) == step


def test_a_code_of_a_used_step_or_before_is_never_taken() -> None:
    now = datetime.fromtimestamp(1234567890, UTC)

    assert matching_step(SECRET, "005924", last_step=41152262, now=now) == 41152263
    assert matching_step(SECRET, "005924", last_step=41152263, now=now) is None
    assert matching_step(SECRET, "005924", last_step=41152264, now=now) is None


@pytest.mark.parametrize("code", ["", "5924", "0005924", "٠٠٥٩٢٤", "\N{FULLWIDTH DIGIT ZERO}05924", "x" * 64])
def test_what_is_not_the_code_does_not_fit(code: str) -> None:
    assert matching_step(SECRET, code, last_step=None, now=datetime.fromtimestamp(1234567890, UTC)) is None


def test_a_code_may_be_typed_with_a_space() -> None:
    assert matching_step(SECRET, "005 924", last_step=None, now=datetime.fromtimestamp(1234567890, UTC)) is not None


def test_a_recovery_code_has_eighty_random_bits_and_can_be_typed_in_any_way() -> None:
    codes = {make_recovery_code(secrets.choice) for _ in range(100)}

    assert len(codes) == 100
    for code in codes:
        assert [len(group) for group in code.split("-")] == [4, 4, 4, 4]
        assert bare_code(f" {code.lower().replace('-', ' ')}") == code.replace("-", "")


def test_a_device_reads_the_secret_the_account_and_whose_it_is() -> None:
    assert setup_uri(SECRET, "op@acme.example") == (
        "otpauth://totp/iTechSmart%20License%20Server:op%40acme.example"
        f"?secret={SECRET}&issuer=iTechSmart%20License%20Server"
    )
