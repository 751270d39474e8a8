"""Plans over HTTP."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from app.services import plans
from app.web.deps import Now, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut
from app.web.schemas.plans import ChangePlan, CreatePlan, PlanOut
from app.web.security import CanReadPlans, CanWritePlans

router = APIRouter(prefix="/api/plans", tags=["plans"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=PlanOut)
async def create_plan(caller: CanWritePlans, tx: Transaction, now: Now, once: Once, wish: CreatePlan) -> Response:
    """Create a plan; the first of its tier is the one that the tier stands for."""

    async def create() -> Created:
        plan = await plans.create(tx, caller, plans.CreatePlan(**wish.model_dump()), now=now)
        return Created(PlanOut.model_validate(plan), f"/api/plans/{plan.id}")

    return await once(create)


@router.get("")
async def list_plans(caller: CanReadPlans, tx: Transaction, page: WantedPage) -> PageOut[PlanOut]:
    """List plans; the five tiers that every installation starts with come first."""
    found = await plans.list_page(tx, page)
    return PageOut[PlanOut](items=[PlanOut.model_validate(plan) for plan in found.items], next_cursor=found.next_cursor)


@router.get("/{plan_id}")
async def show_plan(caller: CanReadPlans, tx: Transaction, plan_id: UUID) -> PlanOut:
    """Show a plan."""
    return PlanOut.model_validate(await plans.get(tx, plan_id))


@router.patch("/{plan_id}")
async def change_plan(caller: CanWritePlans, tx: Transaction, now: Now, plan_id: UUID, wish: ChangePlan) -> PlanOut:
    """Change a plan for licenses that are issued from now on."""
    changes = wish.model_dump(exclude_unset=True)
    return PlanOut.model_validate(await plans.change(tx, caller, plan_id, changes, now=now))
