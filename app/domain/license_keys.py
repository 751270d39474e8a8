"""The shape of a license key: five groups of four characters that can't be mistaken for each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
GROUPS = 5
GROUP_LENGTH = 4
MAX_LENGTH = 200

_CHARACTERS = frozenset(ALPHABET)
_SEPARATORS = str.maketrans("", "", "- \t")


def make_license_key(choose: Callable[[str], str]) -> str:
    """A new license key of 100 random bits; `choose` picks one character of a string (`secrets.choice`)."""
    groups = ("".join(choose(ALPHABET) for _ in range(GROUP_LENGTH)) for _ in range(GROUPS))
    return "-".join(groups)


def canonical_license_key(typed: str) -> str:
    """The license key as it was issued, however it was typed: lower case, spaces and missing dashes are mended.

    A key of any other shape (an imported one) is only freed of surrounding white space.
    """
    stripped = typed.strip()
    bare = stripped.translate(_SEPARATORS).upper()
    is_ours = stripped.isascii() and len(bare) == GROUPS * GROUP_LENGTH and _CHARACTERS.issuperset(bare)
    if not is_ours:
        return stripped
    return "-".join(bare[start : start + GROUP_LENGTH] for start in range(0, len(bare), GROUP_LENGTH))


def hash_license_key(typed: str) -> bytes:
    """SHA-256 (32 bytes) of the canonical license key, by which it is found."""
    return hashlib.sha256(canonical_license_key(typed).encode()).digest()
