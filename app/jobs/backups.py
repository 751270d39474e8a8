"""Jobs about backups."""

from __future__ import annotations

from app.ops.backups.scratch import sweep_trials
from app.runner import direct_url
from app.runtime import Runtime


async def sweep_scratch_databases(runtime: Runtime) -> None:
    """Drop the scratch databases of verifications that were stopped before they could do so themselves."""
    elsewhere = runtime.settings.verify_database_url
    await sweep_trials(direct_url(runtime), None if elsewhere is None else elsewhere.get_secret_value())
