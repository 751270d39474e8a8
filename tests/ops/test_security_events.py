"""Security events are counted in memory within bounds, and stored in one statement."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from app.db.models import SecurityEventCount
from app.db.session import Session
from app.domain.security import EventKey
from app.ops import security_events
from app.ops.security_events import SecurityTally
from tests.conftest import Clock
from tests.factories.store import NOW

LICENSE = UUID(int=3)


def test_events_are_counted_by_minute_address_account_and_license(clock: Clock) -> None:
    tally = SecurityTally(clock)

    for ip in ("2001:db8::1", "2001:db8::ffff", None):
        tally.add("authz_fail", ip, {"caller_kind": "user", "caller_id": UUID(int=1), "license_id": LICENSE})
    clock.forward(seconds=59)
    tally.add("authn_login_fail", "192.0.2.7", {"user_id": UUID(int=2)})
    clock.forward(seconds=1)
    tally.add("authn_token_created", "192.0.2.7", {"caller_id": UUID(int=1), "api_key_id": UUID(int=4)})

    assert tally.take() == {
        EventKey(NOW, "authz_fail", "2001:db8::/64", f"user:{UUID(int=1)}", LICENSE): 2,
        EventKey(NOW, "authz_fail", None, f"user:{UUID(int=1)}", LICENSE): 1,
        EventKey(NOW, "authn_login_fail", "192.0.2.7", f"user:{UUID(int=2)}", None): 1,
        EventKey(NOW.replace(minute=1), "authn_token_created", "192.0.2.7", f"api_key:{UUID(int=4)}", None): 1,
    }
    assert tally.take() == {}


def test_a_flood_is_counted_coarser_and_never_lost_nor_kept_without_end(clock: Clock) -> None:
    tally = SecurityTally(clock, max_keys=10)

    for number in range(1000):
        tally.add("authz_fail", f"192.0.{number // 250}.{number % 250}", {"user_id": number % 3})
    for number in range(1000):
        tally.add("authz_fail", "192.0.2.7", {"user_id": number})

    counts = tally.take()
    assert sum(counts.values()) == 2000
    assert len(counts) <= 30
    assert sum(count for key, count in counts.items() if key.account == "user:1" and key.address is None) >= 300


def test_a_flood_without_a_database_ends_in_a_bound(clock: Clock) -> None:
    tally = SecurityTally(clock, max_keys=10)

    for _ in range(100):
        clock.forward(minutes=1)
        tally.add("authz_fail", "192.0.2.7", {})
    tally.give_back(tally.take())

    assert len(tally.take()) == 30


async def test_counts_are_stored_as_rows(tx: Session) -> None:
    tally = SecurityTally(lambda: NOW)
    for ip in ("192.0.2.7", "192.0.2.7", "192.0.2.8"):
        tally.add("authn_login_fail", ip, {"user_id": UUID(int=2), "license_id": LICENSE})

    await security_events.store(tx, tally.take())

    rows = (await tx.scalars(select(SecurityEventCount).order_by(SecurityEventCount.address))).all()
    assert [(row.minute, row.event, row.address, row.account, row.license_id, row.count) for row in rows] == [
        (NOW, "authn_login_fail", "192.0.2.7", f"user:{UUID(int=2)}", LICENSE, 2),
        (NOW, "authn_login_fail", "192.0.2.8", f"user:{UUID(int=2)}", LICENSE, 1),
    ]
