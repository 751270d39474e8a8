"""A security event is one line and one count, and its level says whether somebody should look."""

import io
import json
from collections.abc import Iterator

import pytest

from app.telemetry.logging import JsonLineFormatter, LineHandler
from app.telemetry.metrics import REGISTRY
from app.telemetry.security_log import SecurityEvent, _logger, record, record_login_failure, record_rate_limit


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the security log writes during the test."""
    written = io.StringIO()
    handler = LineHandler(written)
    handler.setFormatter(JsonLineFormatter())
    _logger.addHandler(handler)
    _logger.setLevel("DEBUG")
    yield written
    _logger.removeHandler(handler)
    _logger.setLevel("NOTSET")


def count(name: str, **labels: str) -> float:
    """The series' value now, 0 before it exists."""
    return REGISTRY.get_sample_value(f"license_server_{name}_total", labels) or 0.0


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (SecurityEvent.AUTHN_LOGIN_SUCCESS, "INFO"),
        (SecurityEvent.AUTHN_LOGIN_LOCK, "WARN"),
        (SecurityEvent.AUTHZ_FAIL, "WARN"),
        (SecurityEvent.MALICIOUS_EXTRANEOUS, "WARN"),
        (SecurityEvent.PRIVILEGE_PERMISSIONS_CHANGED, "INFO"),
        (SecurityEvent.SYS_STARTUP, "INFO"),
    ],
)
def test_event_is_one_line_and_one_count(stream: io.StringIO, event: SecurityEvent, level: str) -> None:
    before = count("security_events", event=event)

    record(event, "It happened", ip="192.0.2.7", user_id=7)

    line = json.loads(stream.getvalue())
    assert list(line) == ["timestamp", "level", "message", "event", "user_id", "ip"]
    assert (line["level"], line["event"], line["ip"]) == (level, event.value, "192.0.2.7")
    assert count("security_events", event=event) == before + 1


def test_failed_login_is_found_and_counted_twice(stream: io.StringIO) -> None:
    before = count("login_failures"), count("security_events", event="authn_login_fail")

    record_login_failure(ip="192.0.2.7")

    assert json.loads(stream.getvalue())["message"].startswith("Failed login attempt")
    after = count("login_failures"), count("security_events", event="authn_login_fail")
    assert after == (before[0] + 1, before[1] + 1)


def test_refusal_of_a_rate_limit_is_counted_by_policy(stream: io.StringIO) -> None:
    before = count("rate_limit_exceeded", policy="login")

    record_rate_limit("login", ip="192.0.2.7")

    line = json.loads(stream.getvalue())
    assert (line["message"], line["policy"]) == ("Rate limit exceeded", "login")
    assert count("rate_limit_exceeded", policy="login") == before + 1


def test_every_event_starts_at_zero() -> None:
    names = {
        sample.labels["event"] for metric in REGISTRY.collect() for sample in metric.samples if "event" in sample.labels
    }

    assert names == set(SecurityEvent)
