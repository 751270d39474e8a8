"""Products: what licenses may be used for."""

from __future__ import annotations

from datetime import datetime

from app.db import events
from app.db.models import Product
from app.db.queries import products
from app.db.session import Session
from app.domain.events import EventName, describe_changes, describe_creation
from app.domain.pages import Page, PageRequest, cut_page
from app.domain.permissions import Principal


async def create(tx: Session, caller: Principal, product_id: str, name: str, *, now: datetime) -> Product:
    """A new product; raises AlreadyExists when the id is taken."""
    product = Product(id=product_id, name=name, created_at=now, updated_at=now)
    tx.add(product)
    await tx.flush()

    data = describe_creation({"name": name})
    await events.record(tx, caller, EventName.PRODUCT_CREATED, product.id, now=now, data=data)
    return product


async def get(tx: Session, product_id: str) -> Product:
    """The product, or ProductNotFound."""
    return await products.get_product(tx, product_id)


async def list_page(tx: Session, page: PageRequest) -> Page[Product]:
    """Products in the order of their ids."""
    found = await products.list_products(tx, after=page.position(str), limit=page.limit + 1)
    return cut_page(found, page.limit, lambda product: product.id)


async def rename(tx: Session, caller: Principal, product_id: str, name: str, *, now: datetime) -> Product:
    """Change the name; the id is what clients know the product by and stays."""
    product = await products.lock_product(tx, product_id)
    before = product.name
    if before == name:
        return product

    product.name = name
    product.updated_at = now

    data = describe_changes({"name": before}, {"name": name})
    await events.record(tx, caller, EventName.PRODUCT_CHANGED, product.id, now=now, data=data)
    return product
