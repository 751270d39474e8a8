"""Commands about products and plans."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.arguments import parse_product_id, parse_text
from app.cli.context import AsJson, Cursor, run
from app.cli.output import show, show_list
from app.db.models import Plan, Product
from app.db.session import Session
from app.domain.pages import MAX_LIMIT, Page, PageRequest
from app.domain.permissions import COMMAND_LINE
from app.runtime import Runtime
from app.services import plans, products

app = typer.Typer(no_args_is_help=True, help="Products: what licenses may be used for.")
plans_app = typer.Typer(no_args_is_help=True, help="Plans: the terms that licenses are issued under.")


@app.command("create")
def create(
    product_id: Annotated[
        str,
        typer.Argument(
            parser=parse_product_id, metavar="ID", help="What clients name it by, such as itechsmart-ninja."
        ),
    ],
    name: Annotated[str, typer.Option(parser=parse_text, metavar="TEXT", help="Its name for people.")],
    as_json: AsJson = False,
) -> None:
    """Create a product."""

    async def work(tx: Session, runtime: Runtime) -> Product:
        return await products.create(tx, COMMAND_LINE, product_id, name, now=runtime.now())

    show(_card(run(work)), as_json=as_json)


@app.command("list")
def list_all(cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List products in the order of their ids, at most 200."""
    page = PageRequest(MAX_LIMIT, cursor)

    async def work(tx: Session, runtime: Runtime) -> Page[Product]:
        return await products.list_page(tx, page)

    found = run(work)
    show_list([_card(product) for product in found.items], found.next_cursor, ("id", "name"), as_json=as_json)


@plans_app.command("list")
def list_plans(cursor: Cursor = None, as_json: AsJson = False) -> None:
    """List plans, at most 200."""
    page = PageRequest(MAX_LIMIT, cursor)

    async def work(tx: Session, runtime: Runtime) -> Page[Plan]:
        return await plans.list_page(tx, page)

    found = run(work)
    columns = ("id", "name", "tier", "maxUsers", "trialDays")
    show_list([_plan_card(plan) for plan in found.items], found.next_cursor, columns, as_json=as_json)


def _card(product: Product) -> dict[str, object]:
    return {"id": product.id, "name": product.name}


def _plan_card(plan: Plan) -> dict[str, object]:
    return {
        "id": plan.id,
        "name": plan.name,
        "tier": plan.tier,
        "maxUsers": plan.max_users,
        "maxProducts": plan.max_products,
        "maxMachines": plan.max_machines,
        "features": plan.features,
        "trialDays": plan.trial_days,
    }
