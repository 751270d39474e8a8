"""When a certificate is a reason to act."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.certificates import Reading, Validity, judge_certificate, judge_lifetime, split_host
from app.domain.findings import Level

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def validity(*, days: float, left: float) -> Validity:
    end = NOW + timedelta(days=left)
    return Validity(end - timedelta(days=days), end, "CN=Somebody")


@pytest.mark.parametrize(
    ("days", "left", "level"),
    [
        (398, 31, Level.GOOD),
        (398, 29, Level.WARNING),
        (398, 8, Level.WARNING),
        (398, 6, Level.BAD),
        (90, 29, Level.GOOD),  # on its way to renewal
        (90, 22, Level.WARNING),
        (90, 6.9, Level.BAD),
        (47, 12, Level.GOOD),
        (47, 11, Level.WARNING),
        (47, 4, Level.BAD),
        (6, 5.9, Level.GOOD),
        (6, 1.6, Level.GOOD),
        (6, 1.4, Level.WARNING),
        (6, 0.5, Level.BAD),
        (90, 0, Level.BAD),
        (90, -1, Level.BAD),
        (90, 91, Level.BAD),  # not valid yet
    ],
)
def test_a_certificate_is_judged_by_what_is_left_of_its_own_lifetime(days: float, left: float, level: Level) -> None:
    assert judge_lifetime(validity(days=days, left=left), NOW) is level


def test_each_judgement_says_why_and_what_to_do() -> None:
    def said(reading: Reading) -> tuple[str, str, bool]:
        finding = judge_certificate(reading, NOW)
        return finding.level, finding.sentence, finding.action is not None

    old, fine = validity(days=90, left=-1), validity(days=90, left=60)
    until = "it holds until 2026-04-30 12:00Z, 60 days from now"
    assert said(Reading("a", old)) == ("bad", "The certificate of a expired on 2026-02-28 12:00Z.", True)
    assert said(Reading("a", old, "certificate has expired"))[1] == said(Reading("a", old))[1]
    assert said(Reading("a", fine)) == ("good", f"The certificate of a is trusted; {until}.", False)
    assert said(Reading("a", fine, "self-signed certificate")) == (
        "bad",
        f"Clients do not trust the certificate of a: self-signed certificate; {until}.",
        True,
    )
    assert said(Reading("a", failure="refused")) == (
        "warning",
        "The certificate of a could not be read: refused.",
        True,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("licenses.example.com", ("licenses.example.com", 443)),
        ("licenses.example.com:8443", ("licenses.example.com", 8443)),
        ("[::1]", ("::1", 443)),
        ("[::1]:8443", ("::1", 8443)),
    ],
)
def test_a_host_has_a_port(text: str, expected: tuple[str, int]) -> None:
    assert split_host(text) == expected
