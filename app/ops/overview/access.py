"""Sections about who may come in: accounts, API keys, operators."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from app.db.queries import reports
from app.domain.access_review import (
    SHOWN,
    UNUSED_AFTER,
    LivingApiKey,
    judge_accounts,
    judge_api_keys,
    judge_operators,
)
from app.domain.reports import Section, SectionName, Table
from app.ops.overview.inquiry import Inquiry

MOST_API_KEYS = 10_000


async def look_at_accounts(inquiry: Inquiry) -> Section:
    """Enabled accounts that nobody has signed in to for ninety days."""
    async with inquiry.database.transaction() as tx:
        count, accounts = await reports.find_unused_accounts(tx, inquiry.now - UNUSED_AFTER, limit=SHOWN)
    rows = tuple(
        {
            "email": one.email,
            "role": one.role,
            "organization": one.organization,
            "created_at": one.created_at,
            "last_seen_at": one.last_seen_at,
        }
        for one in accounts
    )
    return Section(SectionName.ACCOUNTS, (judge_accounts(count),), (Table("Unused for longest", rows),))


async def look_at_api_keys(inquiry: Inquiry) -> Section:
    """API keys that work and are unused, without an end, or old."""
    now = inquiry.now
    async with inquiry.database.transaction() as tx:
        living = await reports.list_living_api_keys(tx, now, limit=MOST_API_KEYS)
    findings = judge_api_keys(
        total=len(living),
        unused=sum(one.is_unused(now) for one in living),
        endless=sum(one.expires_at is None for one in living),
        old=sum(one.is_old(now) for one in living),
    )
    rows = [
        {
            "name": one.name,
            "prefix": one.prefix,
            "organization": one.organization,
            "created_at": one.created_at,
            "last_used_at": one.last_used_at,
            "why": ", ".join(why),
        }
        for one in living
        if (why := list(_reasons(one, now)))
    ]
    return Section(SectionName.API_KEYS, tuple(findings), (Table("API keys to look at", tuple(rows[:SHOWN])),))


async def look_at_operators(inquiry: Inquiry) -> Section:
    """Operators who sign in with a password alone; those of an identity provider have their second factor there."""
    async with inquiry.database.transaction() as tx:
        operators = await reports.list_password_operators(tx)
    bare = [email for email, has_factor in operators if not has_factor]
    rows = tuple({"email": email} for email in bare[:SHOWN])
    finding = judge_operators(len(bare), len(operators))
    return Section(SectionName.OPERATORS, (finding,), (Table("Without a second factor", rows),))


def _reasons(api_key: LivingApiKey, now: datetime) -> Iterator[str]:
    if api_key.is_unused(now):
        yield "unused"
    if api_key.expires_at is None:
        yield "no end"
    if api_key.is_old(now):
        yield "old"
