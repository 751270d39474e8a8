"""The client's address: the peer, or what trusted proxies say, walked from the right."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.client_address import resolve

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
ANYTHING = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=80)


def _resolve(peer: str | None, *headers: str, trusted: bool = True) -> str | None:
    scope = {
        "client": None if peer is None else (peer, 1234),
        "headers": [(b"x-forwarded-for", header.encode("latin-1")) for header in headers],
    }
    return resolve(scope, TRUSTED if trusted else ())


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:DB8:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["fe80::1%eth0"], "fe80::1"),
        ("10.0.0.1", ["198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("testclient", ["198.51.100.1"], None),
        (None, ["198.51.100.1"], None),
    ],
)
def test_the_nearest_address_that_is_not_ours_is_the_client(
    peer: str | None, headers: list[str], expected: str | None
) -> None:
    assert _resolve(peer, *headers) == expected


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert _resolve("10.0.0.1", "198.51.100.1", trusted=False) == "10.0.0.1"


@given(written=st.lists(ANYTHING, max_size=5))
def test_what_a_client_writes_further_left_never_matters(written: list[str]) -> None:
    assert _resolve("10.0.0.1", *written, "198.51.100.1, 10.0.0.2") == "198.51.100.1"
    assert _resolve("10.0.0.1", ",".join([*written, "198.51.100.1"])) == "198.51.100.1"


@given(written=st.lists(ANYTHING, max_size=30))
def test_whatever_is_written_the_answer_is_an_address_without_blanks(written: list[str]) -> None:
    found = _resolve("10.0.0.1", *written)

    assert found is not None
    assert set(found) <= set("0123456789abcdef.:")
