"""Certificates as real TLS servers show them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.domain.findings import Finding, Level
from app.ops.certificates import check_certificates
from tests.live import free_port
from tests.tls_host import Authority, tls_host

NOW = datetime.now(UTC)
DAYS_90 = timedelta(days=90)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """An authority that is trusted meanwhile, as an operator says it."""
    made = Authority(tmp_path_factory.mktemp("authority"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(made.file))
        yield made


async def check(certificate: Path) -> Finding:
    with tls_host(certificate) as host:
        [finding] = await check_certificates([host], now=NOW)
    return finding


async def test_a_certificate_with_time_left_that_clients_trust_is_good(authority: Authority) -> None:
    finding = await check(authority.issue(NOW - timedelta(days=10), DAYS_90))

    assert (finding.level, "is trusted" in finding.sentence) == (Level.GOOD, True)


async def test_an_expired_certificate_is_bad_and_says_since_when(authority: Authority) -> None:
    finding = await check(authority.issue(NOW - timedelta(days=100), DAYS_90))

    expired = (NOW - timedelta(days=10)).strftime("expired on %Y-%m-%d")
    assert (finding.level, expired in finding.sentence) == (Level.BAD, True)


async def test_a_certificate_for_another_name_is_bad_and_has_its_dates(authority: Authority) -> None:
    finding = await check(authority.issue(NOW, DAYS_90, name="192.0.2.1"))

    assert finding.level is Level.BAD
    assert "IP address mismatch" in finding.sentence
    assert (NOW + DAYS_90).strftime("holds until %Y-%m-%d") in finding.sentence


async def test_a_self_signed_certificate_is_bad_and_has_its_dates(authority: Authority) -> None:
    finding = await check(authority.issue(NOW, DAYS_90, self_signed=True))

    assert finding.level is Level.BAD
    assert "self-signed certificate" in finding.sentence
    assert (NOW + DAYS_90).strftime("holds until %Y-%m-%d") in finding.sentence


async def test_a_certificate_of_an_unknown_authority_is_bad(authority: Authority, tmp_path: Path) -> None:
    finding = await check(Authority(tmp_path).issue(NOW, DAYS_90))

    assert (finding.level, "do not trust" in finding.sentence) == (Level.BAD, True)


async def test_a_certificate_of_six_days_is_no_alarm_until_its_renewal_is_late(authority: Authority) -> None:
    days_6 = timedelta(days=6)

    fresh = await check(authority.issue(NOW - timedelta(days=1), days_6))
    late = await check(authority.issue(NOW - timedelta(days=5), days_6))

    assert (fresh.level, late.level) == (Level.GOOD, Level.WARNING)


async def test_a_host_where_nobody_listens_is_told(authority: Authority) -> None:
    [finding] = await check_certificates([f"127.0.0.1:{free_port()}"], now=NOW)

    assert (finding.level, "could not be read" in finding.sentence) == (Level.WARNING, True)


async def test_silent_hosts_cost_five_seconds_together_and_hide_no_other(authority: Authority) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(tls_host(None)) for _ in range(4)]
        good = stack.enter_context(tls_host(authority.issue(NOW, DAYS_90)))
        began_at = time.monotonic()

        findings = await check_certificates([*silent, good], now=NOW)

    assert time.monotonic() - began_at < 8
    assert [finding.level for finding in findings] == [Level.WARNING] * 4 + [Level.GOOD]
    assert "no answer within 5 s" in findings[0].sentence
