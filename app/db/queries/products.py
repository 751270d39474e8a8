"""Queries over products."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select

from app.db.models import Product
from app.db.session import Session
from app.domain.errors import ProductNotFound


async def get_product(tx: Session, product_id: str) -> Product:
    """The product, or ProductNotFound."""
    product = await tx.get(Product, product_id)
    if product is None:
        raise ProductNotFound
    return product


async def lock_product(tx: Session, product_id: str) -> Product:
    """The product, locked until the transaction ends, or ProductNotFound."""
    product = await tx.get(Product, product_id, with_for_update={"key_share": True}, populate_existing=True)
    if product is None:
        raise ProductNotFound
    return product


async def list_products(tx: Session, *, after: str | None, limit: int) -> Sequence[Product]:
    """Products in the order of their ids."""
    query = select(Product).order_by(Product.id).limit(limit)
    if after is not None:
        query = query.where(Product.id > after)
    return (await tx.scalars(query)).all()


async def list_product_ids(tx: Session, wanted: Collection[str]) -> set[str]:
    """Those of the wanted ids that exist."""
    return set((await tx.scalars(select(Product.id).where(Product.id.in_(wanted)))).all())
