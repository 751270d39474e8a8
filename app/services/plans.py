"""Plans: the terms that licenses are issued under."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import events
from app.db.models import Plan
from app.db.queries import plans
from app.db.session import Session
from app.domain.events import EventName, describe_changes, describe_creation
from app.domain.machines import MachineBinding
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal


@dataclass(frozen=True, slots=True)
class CreatePlan:
    """The wish for new terms; None means no limit, and `max_products` None also means every product there is."""

    name: str
    tier: str
    max_users: int | None = None
    max_products: int | None = None
    max_machines: int | None = None
    max_api_calls_per_day: int | None = None
    max_storage_bytes: int | None = None
    features: Mapping[str, Any] = field(default_factory=dict)
    trial_days: int | None = None
    machine_binding: MachineBinding = MachineBinding.AUTOMATIC


async def create(tx: Session, caller: Principal, wish: CreatePlan, *, now: datetime) -> Plan:
    """A new plan; the first of its tier is the one that the tier stands for. AlreadyExists when the name is taken."""
    await plans.lock_tier(tx, wish.tier)
    is_first = await plans.find_tier_default(tx, wish.tier) is None

    plan = Plan(
        name=wish.name,
        tier=wish.tier,
        is_tier_default=is_first,
        max_users=wish.max_users,
        max_products=wish.max_products,
        max_machines=wish.max_machines,
        max_api_calls_per_day=wish.max_api_calls_per_day,
        max_storage_bytes=wish.max_storage_bytes,
        features=dict(wish.features),
        trial_days=wish.trial_days,
        machine_binding=wish.machine_binding,
        created_at=now,
        updated_at=now,
    )
    tx.add(plan)
    await tx.flush()

    data = describe_creation(asdict(wish))
    await events.record(tx, caller, EventName.PLAN_CREATED, plan.id, now=now, data=data)
    return plan


async def get(tx: Session, plan_id: UUID) -> Plan:
    """The plan, or PlanNotFound."""
    return await plans.get_plan(tx, plan_id)


async def list_page(tx: Session, page: PageRequest) -> Page[Plan]:
    """Plans, oldest first."""
    found = await plans.list_plans(tx, after=page.position(UUID), limit=page.limit + 1)
    return cut_page(found, page.limit, lambda plan: plan.id)


async def change(tx: Session, caller: Principal, plan_id: UUID, changes: Mapping[str, Any], *, now: datetime) -> Plan:
    """Change the terms for licenses that are issued from now on; issued ones keep theirs."""
    plan = await plans.lock_plan(tx, plan_id)
    changed = {name: value for name, value in changes.items() if getattr(plan, name) != value}
    if not changed:
        return plan
    before = {name: getattr(plan, name) for name in changed}

    for name, value in changed.items():
        setattr(plan, name, value)
    plan.updated_at = now

    data = describe_changes(before, changed)
    await events.record(tx, caller, EventName.PLAN_CHANGED, plan.id, now=now, data=data)
    return plan
