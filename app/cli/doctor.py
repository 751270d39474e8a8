"""`license-server doctor`: everything that the server stands on, also when the server or the database is down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.cli.context import AsJson, quiet_logs
from app.cli.findings import end_by, show_findings, show_overall
from app.cli.impatience import run_impatiently
from app.db.embedded import EmbeddedPostgresError
from app.domain.errors import InstallationNotFound
from app.domain.findings import Finding, Level, worst
from app.ops.overview.doctor import Patient, diagnose
from app.runtime import database_url, open_vault, utc_now
from app.settings import Inspection, Settings, inspect_settings
from app.vault import Vault, VaultError

START_SECONDS = 8.0
STOP_SECONDS = 2.0


def doctor(as_json: AsJson = False) -> None:
    """Look at settings, database, disk, clock, keys and neighbours, and say what to do; exit code 1 when one is bad."""
    quiet_logs()
    findings = run_impatiently(_examine())
    show_findings(findings, as_json=as_json)
    if not as_json:
        show_overall(findings)
    end_by(worst(findings))


async def _examine() -> list[Finding]:
    inspected = inspect_settings()
    async with _database(inspected) as (url, absence):
        return await diagnose(Patient(inspected, url, absence, _vault(inspected.settings)), clock=utc_now)


@asynccontextmanager
async def _database(inspected: Inspection) -> AsyncIterator[tuple[str | None, Finding | None]]:
    """The address of the database; or none, and why."""
    settings = inspected.settings
    wrong = sorted(inspected.unusable & {"DATABASE_URL", "DATABASE_DIRECT_URL", "DATA_DIR"})
    if wrong:
        sentence = f"The database is not looked at, because {wrong[0]} is wrong."
        yield None, Finding("database", Level.UNAVAILABLE, sentence, f"Mend {wrong[0]} first.")
    elif settings.database_url is not None:
        yield settings.database_url.get_secret_value(), None
    else:
        async with _embedded(settings) as found:
            yield found


@asynccontextmanager
async def _embedded(settings: Settings) -> AsyncIterator[tuple[str | None, Finding | None]]:
    """The embedded PostgreSQL, started where it does not run; stopped again if nobody else uses it."""
    opened = database_url(settings)
    try:
        url = await asyncio.wait_for(asyncio.to_thread(opened.__enter__), START_SECONDS)
    except InstallationNotFound as error:
        yield None, Finding("installation", Level.WARNING, error.message, "license-server serve  # makes one here")
        return
    except TimeoutError:
        sentence = f"The embedded PostgreSQL is not ready after {START_SECONDS:.0f} s."
        yield None, Finding("database", Level.BAD, sentence, f"tail {settings.data_dir}/postgres/log/*.log")
        return
    except (EmbeddedPostgresError, VaultError) as error:
        sentence = str(error)
        yield None, Finding("database", Level.BAD, sentence, "Do what it says, then run: license-server doctor")
        return
    try:
        yield url, None
    finally:
        await asyncio.wait(
            [asyncio.create_task(asyncio.to_thread(opened.__exit__, None, None, None))], timeout=STOP_SECONDS
        )


def _vault(settings: Settings) -> Vault | VaultError:
    """The keys, without making any: whoever only looks leaves nothing behind."""
    try:
        if settings.encryption_key is None and not (settings.data_dir / "encryption.key").exists():
            return VaultError("There is no encryption key: ENCRYPTION_KEY is not set, and DATA_DIR holds none.")
        return open_vault(settings)
    except VaultError as error:
        return error
