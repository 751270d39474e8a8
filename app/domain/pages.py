"""Lists in pages: keyset pagination with opaque cursors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.domain.errors import InvalidCursor

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

Item = TypeVar("Item")
Position = TypeVar("Position")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page is wanted: at most `limit` items behind the cursor."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def position(self, parse: Callable[[str], Position]) -> Position | None:
        """Where the page before ended, None for the first page; raises InvalidCursor for a cursor we never gave."""
        if self.cursor is None:
            return None
        try:
            padded = self.cursor + "=" * (-len(self.cursor) % 4)
            text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
            if not text.isprintable() or not text:
                raise ValueError("no position is empty or holds control characters")
            return parse(text)
        except ValueError as error:
            raise InvalidCursor from error


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items, and the cursor of the next page if there is one."""

    items: Sequence[Item]
    next_cursor: str | None


def cut_page(found: Sequence[Item], limit: int, position: Callable[[Item], object]) -> Page[Item]:
    """The page out of up to `limit + 1` items that were found."""
    items = found[:limit]
    if len(found) <= limit:
        return Page(items, None)
    return Page(items, base64.urlsafe_b64encode(str(position(items[-1])).encode()).decode().rstrip("="))
