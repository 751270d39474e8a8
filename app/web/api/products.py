"""Products over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.services import products
from app.web.deps import Now, Transaction, WantedPage
from app.web.idempotency import Created, Once
from app.web.json_body import JsonRoute
from app.web.schemas.base import PageOut, Slug
from app.web.schemas.products import ChangeProduct, CreateProduct, ProductOut
from app.web.security import CanReadProducts, CanWriteProducts

router = APIRouter(prefix="/api/products", tags=["products"], route_class=JsonRoute)


@router.post("", status_code=201, response_model=ProductOut)
async def create_product(
    caller: CanWriteProducts, tx: Transaction, now: Now, once: Once, wish: CreateProduct
) -> Response:
    """Create a product; its id is what clients name when they validate."""

    async def create() -> Created:
        product = await products.create(tx, caller, wish.id, wish.name, now=now)
        return Created(ProductOut.model_validate(product), f"/api/products/{product.id}")

    return await once(create)


@router.get("")
async def list_products(caller: CanReadProducts, tx: Transaction, page: WantedPage) -> PageOut[ProductOut]:
    """List products in the order of their ids."""
    found = await products.list_page(tx, page)
    items = [ProductOut.model_validate(product) for product in found.items]
    return PageOut[ProductOut](items=items, next_cursor=found.next_cursor)


@router.get("/{product_id}")
async def show_product(caller: CanReadProducts, tx: Transaction, product_id: Slug) -> ProductOut:
    """Show a product."""
    return ProductOut.model_validate(await products.get(tx, product_id))


@router.patch("/{product_id}")
async def rename_product(
    caller: CanWriteProducts, tx: Transaction, now: Now, product_id: Slug, wish: ChangeProduct
) -> ProductOut:
    """Rename a product; its id stays."""
    return ProductOut.model_validate(await products.rename(tx, caller, product_id, wish.name, now=now))
