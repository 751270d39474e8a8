"""`license-server certificates`: what the hosts that are watched show."""

from __future__ import annotations

import asyncio
from typing import Any

from app.cli.context import AsJson, command_settings, one_sentence
from app.cli.findings import end_by, show_findings
from app.cli.output import print_json, say
from app.domain.certificates import Reading, judge_certificate
from app.domain.findings import Finding, worst
from app.ops.certificates import read_certificates
from app.runtime import utc_now


def certificates(as_json: AsJson = False) -> None:
    """Look at the TLS certificates of TLS_PROBE_HOSTS; exit code 1 when one is bad."""
    with one_sentence():
        settings = command_settings()
    readings = asyncio.run(read_certificates(settings.tls_probe_hosts))
    now = utc_now()
    judged = [(reading, judge_certificate(reading, now)) for reading in readings]
    findings = [finding for _, finding in judged]
    if as_json:
        print_json({"level": worst(findings), "certificates": [_document(*pair) for pair in judged]})
    elif not findings:
        say("No host is watched: set TLS_PROBE_HOSTS to those whose certificates clients see.")
    else:
        show_findings(findings, as_json=False)
    end_by(worst(findings))


def _document(reading: Reading, finding: Finding) -> dict[str, Any]:
    validity = reading.validity
    return {
        "host": reading.host,
        "level": finding.level,
        "sentence": finding.sentence,
        "action": finding.action,
        "notBefore": validity and validity.not_before,
        "notAfter": validity and validity.not_after,
        "issuer": validity and validity.issuer,
    }
