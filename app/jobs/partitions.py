"""The job that makes the partitions of validation events."""

from __future__ import annotations

import logging

from app.db.direct import DirectConnection, direct_connection
from app.db.errors import translated
from app.domain.retention import NotOwner
from app.ops.maintenance import partitions
from app.runtime import Runtime
from app.telemetry.logging import log

STATEMENT_SECONDS = 900.0
"""For moving a day of many millions of rows, while validations go on."""

logger = logging.getLogger(__name__)


async def make_partitions(runtime: Runtime) -> None:
    """Make the partitions that are missing, on one server at a time; until then the default one takes the rows."""
    url = runtime.settings.direct_url(runtime.database_url)
    with translated():
        async with direct_connection(url) as direct, direct.limits(statement_seconds=STATEMENT_SECONDS):
            await _arrange(direct, runtime)


async def _arrange(direct: DirectConnection, runtime: Runtime) -> None:
    try:
        arranged = await partitions.arrange(direct, now=runtime.now())
    except NotOwner as error:
        message = "The partitions of validation events can't be made"
        log(logger, logging.ERROR, message, event="partitions_refused", reason=str(error))
        return
    if arranged.days:
        message = f"{len(arranged.days)} partitions of validation events were made"
        log(logger, logging.INFO, message, event="partitions_made", rows_moved=arranged.rows)
    for day, reason in arranged.postponed.items():
        message = f"The partition of {day} must wait"
        log(logger, logging.WARNING, message, event="partition_postponed", reason=reason)
