"""Queries over plans."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select

from app.db.locks import lock_name
from app.db.models import Plan
from app.db.session import Session
from app.domain.errors import PlanNotFound


async def get_plan(tx: Session, plan_id: UUID) -> Plan:
    """The plan, or PlanNotFound."""
    plan = await tx.get(Plan, plan_id)
    if plan is None:
        raise PlanNotFound
    return plan


async def lock_plan(tx: Session, plan_id: UUID) -> Plan:
    """The plan, locked until the transaction ends, or PlanNotFound."""
    plan = await tx.get(Plan, plan_id, with_for_update={"key_share": True}, populate_existing=True)
    if plan is None:
        raise PlanNotFound
    return plan


async def lock_tier(tx: Session, tier: str) -> None:
    """Let nobody else make a plan of this tier until the transaction ends."""
    await lock_name(tx, f"tier {tier}")


async def find_tier_default(tx: Session, tier: str) -> Plan | None:
    """The plan that a tier stands for."""
    plan: Plan | None = await tx.scalar(select(Plan).where(Plan.tier == tier, Plan.is_tier_default))
    return plan


async def list_plans(tx: Session, *, after: UUID | None, limit: int) -> Sequence[Plan]:
    """Plans, oldest first: the five tiers lead."""
    query = select(Plan).order_by(Plan.id).limit(limit)
    if after is not None:
        query = query.where(Plan.id > after)
    return (await tx.scalars(query)).all()
