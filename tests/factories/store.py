"""Rows for tests that work in a transaction."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

from app.db.models import License, Organization, Product
from app.db.session import Session
from app.domain.permissions import COMMAND_LINE
from app.services import licenses, organizations, products
from app.services.licenses import IssueLicense
from app.services.organizations import CreateOrganization
from app.vault import Vault, make_key

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
VAULT = Vault((make_key(),))

_numbers = itertools.count(1)


async def make_organization(tx: Session, **fields: Any) -> Organization:
    """An organization with a domain of its own."""
    number = next(_numbers)
    given = {"name": f"Acme {number}", "domain": f"acme-{number}.example", "email": "it@acme.example", **fields}
    return await organizations.create(tx, COMMAND_LINE, CreateOrganization(**given), now=NOW)


async def make_product(tx: Session, product_id: str | None = None) -> Product:
    """A product with an id of its own."""
    chosen = product_id or f"product-{next(_numbers)}"
    return await products.create(tx, COMMAND_LINE, chosen, chosen.title(), now=NOW)


async def make_license(tx: Session, **fields: Any) -> tuple[License, str]:
    """An UNLIMITED license of a new organization, and its license key; limits are given as `max_machines=2`."""
    organization = fields.pop("organization", None) or await make_organization(tx)
    overrides = {name: fields.pop(name) for name in list(fields) if name.startswith("max_")}
    wish = IssueLicense(organization.id, fields.pop("tier", "UNLIMITED"), overrides=overrides, **fields)
    return await licenses.issue(tx, COMMAND_LINE, VAULT, wish, now=NOW)
