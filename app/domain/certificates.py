"""Certificates: whether clients trust one, and for how long it still holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.findings import Finding, Level

CHECK = "tls_certificate"
DEFAULT_PORT = 443
WARNING_LEFT = timedelta(days=30)
BAD_LEFT = timedelta(days=7)
WARNING_SHARE = 1 / 4
"""Renewal is usual when a third of the lifetime is left: what is still old with a quarter left was not renewed."""
BAD_SHARE = 1 / 10


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate holds, and who issued it."""

    not_before: datetime
    not_after: datetime
    issuer: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a host showed; `distrust` is why clients refuse it, `failure` why nobody could look."""

    host: str
    validity: Validity | None = None
    distrust: str | None = None
    failure: str | None = None


def judge_certificate(reading: Reading, now: datetime) -> Finding:
    """What is to be said of a host's certificate."""
    host, validity = reading.host, reading.validity
    if validity is None:
        sentence = f"The certificate of {host} could not be read: {reading.failure}."
        return Finding(CHECK, Level.WARNING, sentence, _look_at(host))
    level = judge_lifetime(validity, now)
    if now < validity.not_before:
        sentence = f"The certificate of {host} is not valid before {_moment(validity.not_before)}."
        return Finding(CHECK, Level.BAD, sentence, _look_at(host))
    if now >= validity.not_after:
        return Finding(CHECK, Level.BAD, f"The certificate of {host} expired on {_moment(validity.not_after)}.", _RENEW)
    until = f"it holds until {_moment(validity.not_after)}, {_left(validity.not_after - now)} from now"
    if reading.distrust is not None:
        sentence = f"Clients do not trust the certificate of {host}: {reading.distrust}; {until}."
        return Finding(CHECK, Level.BAD, sentence, _look_at(host))
    sentence = f"The certificate of {host} is trusted; {until}."
    return Finding(CHECK, level, sentence, None if level is Level.GOOD else _RENEW)


def judge_lifetime(validity: Validity, now: datetime) -> Level:
    """How soon somebody must act: by what is left, and never sooner than the share of the lifetime left says."""
    left, lifetime = validity.not_after - now, validity.not_after - validity.not_before
    if left <= timedelta() or now < validity.not_before or left < min(BAD_LEFT, lifetime * BAD_SHARE):
        return Level.BAD
    return Level.WARNING if left < min(WARNING_LEFT, lifetime * WARNING_SHARE) else Level.GOOD


def split_host(text: str) -> tuple[str, int]:
    """Name and port of `host`, `host:8443`, `[::1]` or `[::1]:8443`."""
    name, separator, port = text.rpartition(":")
    if not separator or port.endswith("]"):
        name, port = text, str(DEFAULT_PORT)
    return name.removeprefix("[").removesuffix("]"), int(port)


_RENEW = "Renew it where it comes from, load it into what answers there, then run: license-server certificates"


def _look_at(host: str) -> str:
    name, port = split_host(host)
    address = f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return f"openssl s_client -connect {address} -servername {name} -showcerts </dev/null"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%MZ")


def _left(left: timedelta) -> str:
    return f"{left.days} days" if left.days >= 2 else f"{left // timedelta(hours=1)} hours"
