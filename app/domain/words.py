"""What names, ids and moments may look like, whichever door they come through; amounts as people read them."""

from __future__ import annotations

import re

MAX_TEXT_LENGTH = 200
MAX_LONG_TEXT_LENGTH = 500
MAX_LIMIT_NUMBER = 2**31 - 1
YEARS = (1970, 9000)
PRODUCT_ID = r"^[a-z0-9][a-z0-9._\-]{0,99}$"
TIER = r"^[A-Z][A-Z0-9_]{0,49}$"


def require_printable(text: str) -> str:
    """The text as it is; ValueError when it holds a control character or half a character."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must not contain control characters")
    return require_storable(text)


def require_storable(text: str) -> str:
    """The text as it is; ValueError when it holds a NUL or half a character."""
    if "\0" in text:
        raise ValueError("must not contain NUL")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise ValueError("must be valid UTF-8")
    return text


def require_text(text: str, longest: int = MAX_TEXT_LENGTH, shortest: int = 1) -> str:
    """The text without surrounding blanks; ValueError when nothing is left, or too much, or what cannot be printed."""
    stripped = text.strip()
    if not shortest <= len(stripped) <= longest:
        raise ValueError(f"must have {shortest} to {longest} characters")
    return require_printable(stripped)


def require_product_id(text: str) -> str:
    """A product's id; ValueError for anything else."""
    if re.fullmatch(PRODUCT_ID, text) is None:
        raise ValueError("must be up to 100 of a-z 0-9 . _ - and begin with a letter or digit")
    return text


def require_tier(text: str) -> str:
    """A tier's name; ValueError for anything else."""
    if re.fullmatch(TIER, text) is None:
        raise ValueError("must be up to 50 of A-Z 0-9 _ and begin with a letter, such as PROFESSIONAL")
    return text


def number_of(count: int, noun: str, plural: str | None = None) -> str:
    """So many of them: `1 account`, `2 accounts`."""
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def camel_case(name: str) -> str:
    """A name of ours as JSON has it: `max_users` is `maxUsers`."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def duration_in_words(seconds: float) -> str:
    """A length of time for people: 3 min."""
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


class ByteCount(int):
    """A number of bytes, which people read as `1.5 GB`; a unit is 1024 of the one before."""

    def __str__(self) -> str:
        size = float(self)
        for unit in ("B", "kB", "MB", "GB"):
            if abs(size) < 1023.95:
                return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
            size /= 1024
        return f"{size:.1f} TB"
