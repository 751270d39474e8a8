"""Queries for what runs have come to; they are the installation's."""

from __future__ import annotations

from sqlalchemy import func, select

from app.db.models import Run, User
from app.db.session import Session
from app.domain.permissions import Role
from app.domain.run_evidence import EndedRun, RunEvidence
from app.domain.runs import RunKind, RunStatus

_SUCCEEDED = (RunStatus.SUCCEEDED, RunStatus.SUCCEEDED_WITH_WARNINGS)


async def find_run_evidence(tx: Session, kind: RunKind, *, limit: int) -> RunEvidence:
    """The last runs of a kind that have ended, when one succeeded last, and when the first operator came.

    A dry run is no evidence.
    """
    is_real = ~Run.options.contains({"dryRun": True})
    ended = select(Run).where(Run.kind == kind, is_real, Run.finished_at.is_not(None)).order_by(Run.id.desc())
    runs = tuple(
        EndedRun(row.status, row.trigger, row.finished_at, len(row.warnings), row.failure, row.result or {})
        for row in await tx.scalars(ended.limit(limit))
        if row.finished_at is not None
    )
    success = select(func.max(Run.finished_at)).where(Run.kind == kind, is_real, Run.status.in_(_SUCCEEDED))
    installed = select(func.min(User.created_at)).where(User.role == Role.OPERATOR)
    return RunEvidence(kind, runs, await tx.scalar(success), await tx.scalar(installed))
