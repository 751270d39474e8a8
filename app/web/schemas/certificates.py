"""Certificates in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.domain.certificates import Reading, judge_certificate
from app.domain.findings import Level, worst
from app.web.schemas.base import Out, OutMoment


class CertificateOut(Out):
    """What a host shows; the moments and the issuer are null where nothing could be read."""

    host: str
    level: Level
    sentence: str
    action: str | None
    not_before: OutMoment | None
    not_after: OutMoment | None
    issuer: str | None


class CertificatesOut(Out):
    """The hosts of TLS_PROBE_HOSTS, and the level of the worst."""

    level: Level
    certificates: list[CertificateOut]

    @classmethod
    def of(cls, readings: Sequence[Reading], now: datetime) -> CertificatesOut:
        """The readings as they are answered."""
        judged = [(reading, judge_certificate(reading, now)) for reading in readings]
        return cls(
            level=worst(finding for _, finding in judged),
            certificates=[
                CertificateOut(
                    host=reading.host,
                    level=finding.level,
                    sentence=finding.sentence,
                    action=finding.action,
                    not_before=reading.validity and reading.validity.not_before,
                    not_after=reading.validity and reading.validity.not_after,
                    issuer=reading.validity and reading.validity.issuer,
                )
                for reading, finding in judged
            ],
        )
