"""Jobs about backups."""

from __future__ import annotations

from contextlib import suppress

from app.domain.restores import RestoreRefused
from app.ops.backups.restore import sweep_restores
from app.ops.backups.scratch import sweep_trials
from app.runner import direct_url
from app.runtime import Runtime
from app.services import backups
from app.telemetry import metrics


async def tell_backups(runtime: Runtime) -> None:
    """Set this process's gauges from the catalog; of several processes the latest to look is told."""
    async with runtime.database.transaction() as tx:
        figures = await backups.read_figures(tx, now=runtime.now())
    succeeded_at, verified_at = figures.succeeded_at, figures.verified_at
    metrics.backup_last_success.tell(None if succeeded_at is None else succeeded_at.timestamp())
    metrics.backup_last_verified.tell(None if verified_at is None else verified_at.timestamp())
    metrics.backup_recovery.tell(figures.recovery_seconds)
    metrics.backup_bytes.tell(figures.bytes)


async def sweep_scratch_databases(runtime: Runtime) -> None:
    """Drop the scratch databases of verifications and restores that were stopped before they could do so themselves."""
    elsewhere = runtime.settings.verify_database_url
    await sweep_trials(direct_url(runtime), None if elsewhere is None else elsewhere.get_secret_value())
    with suppress(RestoreRefused):  # a role that can't restore has left nothing
        await sweep_restores(direct_url(runtime))
