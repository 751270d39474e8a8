"""Lists, read to their end."""

from __future__ import annotations

from typing import Any

import httpx


async def read_all_pages(client: httpx.AsyncClient, path: str, *, limit: int) -> list[dict[str, Any]]:
    """Every item of a list, page by page; all pages but the last one are full."""
    items: list[dict[str, Any]] = []
    parameters: dict[str, str | int] = {"limit": limit}
    while True:
        response = await client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        page = response.json()
        assert list(page) == ["items", "nextCursor"]
        items.extend(page["items"])
        if page["nextCursor"] is None:
            assert 0 < len(page["items"]) <= limit
            return items
        assert len(page["items"]) == limit
        parameters["cursor"] = page["nextCursor"]
