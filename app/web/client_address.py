"""Who is at the other end: the peer, or what trusted proxies say, walked from the right."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.types import Scope

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_SCOPE_KEY = "license_server.client_ip"
MAX_HOPS = 20


def client_ip(scope: Scope) -> str | None:
    """The client's address that was resolved for this request; None without a network peer."""
    address: str | None = scope.get(_SCOPE_KEY)
    return address


def resolve(scope: Scope, trusted: Sequence[Network]) -> str | None:
    """Resolve the client's address once for this request.

    The peer counts unless it is a trusted proxy; then the rightmost address of X-Forwarded-For that is not a trusted
    proxy counts. What a client wrote further left is never believed.
    """
    peer = scope.get("client")
    address = _parse(peer[0]) if peer else None
    if address is not None and trusted and _is_trusted(address, trusted):
        address = _behind_proxies(scope, address, trusted)
    resolved = None if address is None else str(address)
    scope[_SCOPE_KEY] = resolved
    return resolved


def _behind_proxies(scope: Scope, peer: Address, trusted: Sequence[Network]) -> Address:
    header = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    nearest = peer
    for hop in reversed(header.decode("latin-1").split(",")[-MAX_HOPS:]):
        address = _parse(hop)
        if address is None:
            return nearest
        nearest = address
        if not _is_trusted(address, trusted):
            return nearest
    return nearest


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def _parse(text: str) -> Address | None:
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
