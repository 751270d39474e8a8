"""The security summary in JSON."""

from __future__ import annotations

from uuid import UUID

from app.domain.security import KindSummary, Leader, OddLicense, Pattern, SecuritySummary
from app.web.schemas.base import Out, OutMoment


class EventTotalOut(Out):
    """How often an event was seen in the window."""

    event: str
    count: int
    last_seen_at: OutMoment


class AddressOut(Out):
    """An IPv4 address, or the /64 of an IPv6 address."""

    address: str
    count: int
    last_seen_at: OutMoment


class LeadingAccountOut(Out):
    """A user (`user:` and the id) with its e-mail address, or an API key (`api_key:` and the id) with its name."""

    account: str
    name: str | None
    count: int
    last_seen_at: OutMoment


class LicenseCountOut(Out):
    """A license and the organization that it belongs to."""

    license_id: UUID
    organization: str | None
    count: int
    last_seen_at: OutMoment


class KindOut(Out):
    """One kind of security events, and at most ten of those that lead."""

    kind: str
    count: int
    addresses: list[AddressOut]
    accounts: list[LeadingAccountOut]
    licenses: list[LicenseCountOut]


class OddLicenseOut(LicenseCountOut):
    """A license with an odd pattern; `countBefore` is the number of the window before, of a rise."""

    count_before: int | None


class PatternsOut(Out):
    """Odd patterns of validations, at most ten of each."""

    many_machines: list[OddLicenseOut]
    many_networks: list[OddLicenseOut]
    sudden_rise: list[OddLicenseOut]
    many_unknown_keys: list[AddressOut]


class ThresholdsOut(Out):
    """From which number on a pattern is odd; a rise is so many validations, and so many times those before."""

    machines_of_one_license: int
    networks_of_one_license: int
    unknown_keys_of_one_address: int
    validations_of_a_rise: int
    rise_factor: int


class SecuritySummaryOut(Out):
    """What happened in a window, and what is odd about it."""

    since: OutMoment
    until: OutMoment
    events: list[EventTotalOut]
    kinds: list[KindOut]
    patterns: PatternsOut
    thresholds: ThresholdsOut

    @classmethod
    def of(cls, summary: SecuritySummary) -> SecuritySummaryOut:
        """The summary as it is answered."""
        odd = {pattern.value: _odd(summary.odd_licenses, pattern) for pattern in Pattern}
        return cls(
            since=summary.window.since,
            until=summary.window.until,
            events=[
                EventTotalOut(event=one.name, count=one.count, last_seen_at=one.last_seen_at) for one in summary.events
            ],
            kinds=[_kind(kind) for kind in summary.kinds],
            patterns=PatternsOut(**odd, many_unknown_keys=_addresses(summary.key_guessers)),
            thresholds=ThresholdsOut.model_validate(summary.thresholds),
        )


def _kind(summary: KindSummary) -> KindOut:
    return KindOut(
        kind=summary.kind,
        count=summary.count,
        addresses=_addresses(summary.addresses),
        accounts=[
            LeadingAccountOut(account=one.name, name=one.title, count=one.count, last_seen_at=one.last_seen_at)
            for one in summary.accounts
        ],
        licenses=[
            LicenseCountOut(
                license_id=UUID(one.name), organization=one.title, count=one.count, last_seen_at=one.last_seen_at
            )
            for one in summary.licenses
        ],
    )


def _addresses(leaders: tuple[Leader, ...]) -> list[AddressOut]:
    return [AddressOut(address=one.name, count=one.count, last_seen_at=one.last_seen_at) for one in leaders]


def _odd(found: tuple[OddLicense, ...], pattern: Pattern) -> list[OddLicenseOut]:
    return [
        OddLicenseOut(
            license_id=one.license_id,
            organization=one.organization,
            count=one.count,
            count_before=one.earlier,
            last_seen_at=one.last_seen_at,
        )
        for one in found
        if one.pattern == pattern
    ]
