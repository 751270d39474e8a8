"""The doctor: looks at everything that the server stands on, whatever is broken, and says what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from itertools import chain

from app.db.deadline import Deadline
from app.domain.findings import Finding, Level
from app.ops.backups.place_checks import check_bucket
from app.ops.certificates import check_certificates
from app.ops.database_fitness import Clock, check_database
from app.ops.installation import check_files, check_port, check_settings
from app.ops.neighbours import check_identity_provider, check_mail_server, check_shared_store
from app.ops.overview.backups import check_backups
from app.settings import Inspection
from app.vault import Vault, VaultError

PATIENCE_SECONDS = 10.0
CERTIFICATE_SECONDS = 9.0


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at; without a `url` there is no database to ask, and `absence` says why."""

    inspected: Inspection
    url: str | None
    absence: Finding | None
    vault: Vault | VaultError


async def diagnose(patient: Patient, *, clock: Clock) -> list[Finding]:
    """All findings, in the order of the checks; what takes longer than 10 s is told as unavailable."""
    settings, now = patient.inspected.settings, clock()
    checks: Mapping[str, Awaitable[list[Finding]]] = {
        "data_dir": asyncio.to_thread(check_files, settings),
        "port": check_port(settings),
        "database": _check_database(patient, clock),
        "mail_server": check_mail_server(settings),
        "backup_bucket": asyncio.to_thread(check_bucket, settings),
        "shared_store": check_shared_store(settings),
        "identity_provider": check_identity_provider(settings, now=now),
        "tls_certificate": check_certificates(settings.tls_probe_hosts, now=now, seconds=CERTIFICATE_SECONDS),
    }
    found = await asyncio.gather(*(_in_time(name, check) for name, check in checks.items()))
    return [*check_settings(patient.inspected), *chain.from_iterable(found)]


async def _in_time(name: str, check: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with Deadline(PATIENCE_SECONDS):
            return await check
    except TimeoutError:
        sentence = f"There was no answer within {PATIENCE_SECONDS:.0f} s."
        action = "license-server doctor  # again, when the machine is less busy"
        return [Finding(name, Level.UNAVAILABLE, sentence, action)]
    except Exception as error:  # one thing that is broken in a way nobody thought of hides no other
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
        sentence = f"It could not be looked at ({type(error).__name__}: {reason})."
        return [Finding(name, Level.BAD, sentence, "Mend what the sentence names, then run: license-server doctor")]


async def _check_database(patient: Patient, clock: Clock) -> list[Finding]:
    findings = [] if patient.absence is None else [patient.absence]
    if patient.url is not None:
        settings = patient.inspected.settings
        findings += await check_database(settings, patient.url, patient.vault, clock)
        if any(one.check == "database_schema" and one.level is Level.GOOD for one in findings):
            findings += await _in_time("backups", check_backups(settings, patient.url, clock()))
    return findings
