"""Products in JSON."""

from __future__ import annotations

from app.web.schemas.base import Out, OutMoment, Slug, Text, Wish


class CreateProduct(Wish):
    """A new product; clients name it by its id when they validate."""

    id: Slug
    name: Text


class ChangeProduct(Wish):
    """A product's new name."""

    name: Text


class ProductOut(Out):
    """A product."""

    id: str
    name: str
    created_at: OutMoment
    updated_at: OutMoment
