"""Addresses of clients: who counts as the same one."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network, ip_address

IPV6_SITE_BITS = 64
"""A provider gives each customer at least a /64 (RFC 6177): inside it, addresses cost nothing."""


def neighbourhood(ip: str | None) -> str:
    """Who is counted together: an IPv4 address alone, an IPv6 address with its /64; `unknown` without an address."""
    if ip is None:
        return "unknown"
    address = ip_address(ip)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), IPV6_SITE_BITS), strict=False))
    return str(address)
