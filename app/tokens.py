"""Credentials and codes that nobody can guess."""

from __future__ import annotations

import secrets

RANDOM_BYTES = 32


def make_token(prefix: str) -> str:
    """A new secret of 256 random bits, behind a prefix that says what it is for."""
    return prefix + secrets.token_urlsafe(RANDOM_BYTES)
