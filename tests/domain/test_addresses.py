"""Who counts as the same client."""

from __future__ import annotations

import pytest

from app.domain.addresses import neighbourhood


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_address_stands_for_its_site_and_an_ipv4_address_for_itself(ip: str | None, expected: str) -> None:
    assert neighbourhood(ip) == expected
