"""Retention: what is kept how long, and how much of it there is."""

from __future__ import annotations

from collections.abc import Sequence

from app.db.queries import retention
from app.db.session import Session
from app.domain.retention import Rule, Stock, list_rules
from app.settings import Settings


async def show(tx: Session, settings: Settings) -> Sequence[tuple[Rule, Stock]]:
    """Everything that grows, with its rule and what there is now."""
    rules = list_rules(settings.validation_retention_days, settings.audit_retention_days)
    return [(rule, await retention.read_stock(tx, rule.kind)) for rule in rules]
