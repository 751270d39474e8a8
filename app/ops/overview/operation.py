"""Sections about the running server: health, errors, resources, database, security, certificates."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psutil

from app.domain.backup_evidence import BACKUP_CHECKS
from app.domain.findings import Finding, Level
from app.domain.reports import Row, Section, SectionName, Table
from app.domain.resources import ResourceUse, judge_resources
from app.domain.security import SecuritySummary, Thresholds, Window
from app.domain.words import ByteCount, number_of
from app.ops import certificates, error_groups, health, installation, security
from app.ops.diagnostics import examination
from app.ops.overview.inquiry import Inquiry
from app.settings import Settings

CERTIFICATES_SECONDS = 8.0
SHOWN_GROUPS = 10
SECURITY_WINDOW = timedelta(days=7)


async def look_at_health(inquiry: Inquiry) -> Section:
    """Whether the server can do its work: the checks of `/readyz`, done again when they fail, as probes do."""
    readiness = await _readiness(inquiry)
    if not readiness.is_ready:
        readiness = await _readiness(inquiry)
    findings = [Finding(check, Level.BAD, sentence) for check, sentence in readiness.failed.items()]
    good = Finding("readiness", Level.GOOD, "The database answers, and its schema is the one of this release.")
    return Section(SectionName.HEALTH, tuple(findings or [good]))


async def look_at_errors(inquiry: Inquiry) -> Section:
    """The error lines of the window, those that are alike together."""
    async with inquiry.database.transaction() as tx:
        found = await error_groups.summarize(tx, inquiry.window)
    if found.count == 0:
        return Section(SectionName.ERRORS, (Finding("errors", Level.GOOD, "No errors were logged."),))
    sentence = f"{number_of(found.count, 'error line')} in {number_of(found.group_count, 'group')} were logged."
    action = f"license-server errors --since {found.window.since:%Y-%m-%dT%H:%M:%SZ}"
    table = Table(
        "Largest groups",
        tuple(
            {
                "lines": one.occurrences.count,
                "event": one.event,
                "exception": one.exception,
                "place": one.place,
                "last_seen_at": one.occurrences.last_seen_at,
            }
            for one in found.groups[:SHOWN_GROUPS]
        ),
    )
    return Section(SectionName.ERRORS, (Finding("errors", Level.WARNING, sentence, action),), (table,))


async def look_at_resources(inquiry: Inquiry) -> Section:
    """CPU and memory of the machine, and the disks that the server's folders lie on."""
    findings = await asyncio.to_thread(_look_at_machine, inquiry.settings)
    return Section(SectionName.RESOURCES, tuple(findings))


async def look_at_database(inquiry: Inquiry) -> Section:
    """What the examination of the database found, unless it is good; backups have a section of their own."""
    examined = await examination.examine(inquiry.database, now=inquiry.now)
    findings = [one for one in examined if one.check not in BACKUP_CHECKS]
    remarkable = tuple(one for one in findings if one.level is not Level.GOOD)
    good = Finding("examination", Level.GOOD, f"{number_of(len(findings), 'check')} of the database found nothing.")
    return Section(SectionName.DATABASE, remarkable or (good,))


async def look_at_security(inquiry: Inquiry) -> Section:
    """The security summary of the last seven days, which is as far as it reaches."""
    window = Window(inquiry.now - SECURITY_WINDOW, inquiry.now)
    async with inquiry.database.transaction() as tx:
        summary = await security.summarize(tx, window, Thresholds())
    return Section(SectionName.SECURITY, (_judge_security(summary),), tuple(_security_tables(summary)))


async def look_at_certificates(inquiry: Inquiry) -> Section:
    """What was found about the certificates of TLS_PROBE_HOSTS."""
    hosts = inquiry.settings.tls_probe_hosts
    found = await certificates.check_certificates(hosts, now=inquiry.now, seconds=CERTIFICATES_SECONDS)
    none = Finding("certificates", Level.UNAVAILABLE, "TLS_PROBE_HOSTS names no host to look at.")
    return Section(SectionName.CERTIFICATES, tuple(found) or (none,))


async def _readiness(inquiry: Inquiry) -> health.Readiness:
    here = inquiry.installation
    return await health.check_readiness(here.probe_lane, head_revision=here.head_revision, is_draining=False)


def _look_at_machine(settings: Settings) -> list[Finding]:
    """Asks the system; a disk that hangs keeps its thread waiting, and the report goes on without."""
    memory = psutil.virtual_memory()
    use = ResourceUse(
        load=psutil.getloadavg()[1],
        cpus=psutil.cpu_count() or 1,
        memory_percent=memory.percent,
        memory_available=ByteCount(memory.available),
    )
    return [*judge_resources(use), *installation.check_disks(settings), *installation.check_key_copy(settings)]


def _judge_security(summary: SecuritySummary) -> Finding:
    action = "license-server security summary --window 7d"
    odd = len({one.license_id for one in summary.odd_licenses})
    if odd or summary.key_guessers:
        guessers = number_of(len(summary.key_guessers), "address", "addresses")
        sentence = f"{number_of(odd, 'license')} with odd validations, {guessers} with many unknown license keys."
        return Finding("security", Level.WARNING, sentence, action)
    count = sum(kind.count for kind in summary.kinds)
    if count == 0:
        return Finding("security", Level.GOOD, "Nothing was refused, and no validations were odd.")
    return Finding("security", Level.GOOD, f"{number_of(count, 'refusal')}, and no validations were odd.", action)


def _security_tables(summary: SecuritySummary) -> list[Table]:
    kinds: list[Row] = [
        {
            "kind": kind.kind.replace("_", " "),
            "count": kind.count,
            "most_from": kind.addresses[0].name if kind.addresses else None,
            "most_on": (kind.accounts[0].title or kind.accounts[0].name) if kind.accounts else None,
        }
        for kind in summary.kinds
        if kind.count
    ]
    odd: list[Row] = [
        {
            "pattern": one.pattern.replace("_", " "),
            "license": str(one.license_id),
            "organization": one.organization,
            "count": one.count,
        }
        for one in summary.odd_licenses
    ]
    guessers: list[Row] = [{"address": one.name, "unknown_keys": one.count} for one in summary.key_guessers]
    return [
        Table("Refusals", tuple(kinds)),
        Table("Licenses with odd validations", tuple(odd)),
        Table("Addresses with many unknown license keys", tuple(guessers)),
    ]
