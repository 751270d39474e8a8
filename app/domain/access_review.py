"""Accounts and API keys that somebody should look at: unused, without an end, old, without a second factor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.findings import Finding, Level
from app.domain.words import number_of

UNUSED_AFTER = timedelta(days=90)
OLD_AFTER = timedelta(days=365)
SHOWN = 20


@dataclass(frozen=True, slots=True)
class UnusedAccount:
    """An enabled account with which nobody has signed in for ninety days."""

    email: str
    role: str
    organization: str | None
    created_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class LivingApiKey:
    """An API key that works."""

    name: str
    prefix: str
    organization: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def is_unused(self, now: datetime) -> bool:
        """Whether it exists for ninety days and was not used in them."""
        return max(self.created_at, self.last_used_at or self.created_at) < now - UNUSED_AFTER

    def is_old(self, now: datetime) -> bool:
        """Whether it was made more than a year ago."""
        return self.created_at < now - OLD_AFTER


def judge_accounts(count: int) -> Finding:
    """What is said of so many unused accounts."""
    if count == 0:
        return Finding("unused_accounts", Level.GOOD, "Every enabled account that is older was used in 90 days.")
    sentence = f"{number_of(count, 'enabled account')} without a sign-in for 90 days; disable those nobody needs."
    return Finding("unused_accounts", Level.WARNING, sentence, "license-server users disable EMAIL")


def judge_api_keys(total: int, unused: int, endless: int, old: int) -> list[Finding]:
    """What is said of living API keys."""
    if unused:
        sentence = f"{number_of(unused, 'API key')} of {total} not used for 90 days; revoke those nobody needs."
        first = Finding("unused_api_keys", Level.WARNING, sentence, "license-server api-keys revoke ID")
    else:
        first = Finding("unused_api_keys", Level.GOOD, "Every API key that is older was used in 90 days.")
    findings = [first]
    if endless:
        sentence = f"{number_of(endless, 'API key')} of {total} without an end; a new key can have one."
        findings.append(
            Finding("endless_api_keys", Level.GOOD, sentence, "license-server api-keys create --expires-at 2030-12-31")
        )
    if old:
        sentence = f"{number_of(old, 'API key')} of {total} older than a year; replace them without an outage."
        findings.append(Finding("old_api_keys", Level.WARNING, sentence, "license-server api-keys rotate ID"))
    return findings


def judge_operators(without_factor: int, total: int) -> Finding:
    """What is said of operators who sign in with a password alone."""
    if total == 0:
        return Finding("second_factors", Level.GOOD, "No operator signs in with a password.")
    if without_factor == 0:
        return Finding("second_factors", Level.GOOD, "Every operator with a password has a second factor.")
    sentence = f"{number_of(without_factor, 'operator')} of {total} with a password and without a second factor."
    return Finding("second_factors", Level.WARNING, sentence, "OPERATOR_SECOND_FACTOR_REQUIRED=true")
