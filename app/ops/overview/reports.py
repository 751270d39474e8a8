"""Reports: everything that the guide has people look at daily, weekly, monthly and quarterly, looked at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from app import __version__
from app.db.deadline import Deadline
from app.domain.errors import DomainError
from app.domain.findings import Finding, Level
from app.domain.reports import LENGTH_BY_PERIOD, Period, Report, Section, SectionName, sections_of
from app.domain.security import Window
from app.ops.overview import access, backups, operation, upkeep
from app.ops.overview.inquiry import Inquiry, Installation
from app.telemetry.logging import log

SECTION_SECONDS = 9.0
AT_ONCE = 4
"""Of ten connections, so that requests go on."""

logger = logging.getLogger(__name__)

_LOOK_AT: Mapping[SectionName, Callable[[Inquiry], Awaitable[Section]]] = {
    SectionName.HEALTH: operation.look_at_health,
    SectionName.ERRORS: operation.look_at_errors,
    SectionName.RESOURCES: operation.look_at_resources,
    SectionName.DATABASE: operation.look_at_database,
    SectionName.VACUUM: upkeep.look_at_vacuum,
    SectionName.SLOW_QUERIES: upkeep.look_at_slow_queries,
    SectionName.GROWTH: upkeep.look_at_growth,
    SectionName.SECURITY: operation.look_at_security,
    SectionName.PRUNE: upkeep.look_at_prune,
    SectionName.REINDEX: upkeep.look_at_reindex,
    SectionName.CERTIFICATES: operation.look_at_certificates,
    SectionName.BACKUPS: backups.look_at_backups,
    SectionName.ACCOUNTS: access.look_at_accounts,
    SectionName.API_KEYS: access.look_at_api_keys,
    SectionName.OPERATORS: access.look_at_operators,
    SectionName.PERFORMANCE: upkeep.look_at_performance,
    SectionName.CAPACITY: upkeep.look_at_capacity,
    SectionName.RESTORE_TEST: backups.look_at_restore_test,
}


async def compile_report(installation: Installation, period: Period, *, now: datetime) -> Report:
    """Look at everything of the period, within ten seconds; what nobody can look at is a section that says so."""
    window = Window(now - LENGTH_BY_PERIOD[period], now)
    inquiry = Inquiry(installation, window)
    turns = asyncio.Semaphore(AT_ONCE)
    sections = await asyncio.gather(*(_look_at(name, inquiry, turns) for name in sections_of(period)))
    return Report(period, window.since, window.until, __version__, tuple(sections))


async def _look_at(name: SectionName, inquiry: Inquiry, turns: asyncio.Semaphore) -> Section:
    try:
        async with Deadline(SECTION_SECONDS), turns:
            return await _LOOK_AT[name](inquiry)
    except DomainError as error:
        return _unavailable(name, error.message)
    except TimeoutError:
        return _unavailable(name, f"Nobody knows: it took more than {SECTION_SECONDS:.0f} seconds to find out.")
    except OSError as error:
        return _unavailable(name, f"The system does not tell: {error.strerror or type(error).__name__}.")
    except Exception:
        log(logger, logging.ERROR, "A report failed because of a defect", event="defect", section=name, exc_info=True)
        return _unavailable(name, "A defect of the server kept this from being found out; the log has the cause.")


def _unavailable(name: SectionName, sentence: str) -> Section:
    return Section(name, (Finding(name, Level.UNAVAILABLE, sentence),))
