"""What is looked at when the security of the installation is looked after: kinds of events, windows, thresholds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.domain.errors import Invalid

MIN_WINDOW = timedelta(minutes=5)
MAX_WINDOW = timedelta(days=7)
DEFAULT_WINDOW = timedelta(hours=24)
TOP = 10
EVENTS_KEPT = timedelta(days=90)

_WINDOW = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class EventKey(NamedTuple):
    """What security events are counted by."""

    minute: datetime
    event: str
    address: str | None
    account: str | None
    license_id: UUID | None


class Kind(StrEnum):
    """The kinds of security events that the summary shows the leaders of."""

    FAILED_LOGINS = "failed_logins"
    RATE_LIMITS = "rate_limits"
    REFUSED_CREDENTIALS = "refused_credentials"
    AUTHORIZATION_FAILURES = "authorization_failures"
    SUSPICIOUS_INPUT = "suspicious_input"
    LOCKOUTS = "lockouts"


EVENTS_BY_KIND: dict[Kind, tuple[str, ...]] = {
    Kind.FAILED_LOGINS: ("authn_login_fail", "authn_password_change_fail"),
    Kind.RATE_LIMITS: ("excess_rate_limit_exceeded",),
    Kind.REFUSED_CREDENTIALS: ("authn_token_fail", "authn_token_reuse"),
    Kind.AUTHORIZATION_FAILURES: ("authz_fail",),
    Kind.SUSPICIOUS_INPUT: ("malicious_extraneous", "malicious_direct_reference", "malicious_attack_tool"),
    Kind.LOCKOUTS: ("authn_login_lock",),
}


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when; the end is not part of it."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Leader:
    """Who or what was seen how often; `title` is what people call it, where it has a name beside its id."""

    name: str
    count: int
    last_seen_at: datetime
    title: str | None = None


@dataclass(frozen=True, slots=True)
class KindSummary:
    """One kind of security events: how many, and who leads."""

    kind: Kind
    count: int
    addresses: tuple[Leader, ...]
    accounts: tuple[Leader, ...]
    licenses: tuple[Leader, ...]


class Pattern(StrEnum):
    """What can be odd about the validations of a license."""

    MANY_MACHINES = "many_machines"
    MANY_NETWORKS = "many_networks"
    SUDDEN_RISE = "sudden_rise"


@dataclass(frozen=True, slots=True)
class OddLicense:
    """A license with an odd pattern; `earlier` is the number of the window before, of a rise."""

    pattern: str
    license_id: UUID
    organization: str
    count: int
    earlier: int | None
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which number on a pattern of validations is odd."""

    machines_of_one_license: int = 20
    networks_of_one_license: int = 10
    unknown_keys_of_one_address: int = 20
    validations_of_a_rise: int = 100
    rise_factor: int = 5


@dataclass(frozen=True, slots=True)
class SecuritySummary:
    """What happened in a window, and what is odd about it."""

    window: Window
    events: tuple[Leader, ...]
    kinds: tuple[KindSummary, ...]
    thresholds: Thresholds
    odd_licenses: tuple[OddLicense, ...]
    key_guessers: tuple[Leader, ...]


def parse_window(text: str) -> timedelta:
    """The length that `90m`, `24h` or `7d` stands for, from five minutes to seven days; raises ValueError."""
    match = _WINDOW.fullmatch(text)
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not MIN_WINDOW <= length <= MAX_WINDOW:
        raise ValueError("must be a length from 5m to 7d, such as 90m, 24h or 7d")
    return length


def choose_window(length: timedelta | None, since: datetime | None, until: datetime | None, now: datetime) -> Window:
    """The window that is asked for by its length or its beginning; raises Invalid."""
    if length is not None and since is not None:
        raise Invalid("Give `window` or `since`, not both.")
    end = now if until is None else until
    beginning = end - (length or DEFAULT_WINDOW) if since is None else since
    if not MIN_WINDOW <= end - beginning <= MAX_WINDOW:
        raise Invalid("The time from `since` to `until` must be from 5 minutes to 7 days.")
    return Window(beginning, end)
