"""What tests of maintenance are given: a workbench on a database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.settings import Settings
from tests.ops.maintenance.workshop import Workshop, open_workshop


@pytest.fixture
async def workshop(settings: Settings, fresh_database: str) -> AsyncIterator[Workshop]:
    """A workbench as the superuser."""
    async with open_workshop(settings, fresh_database) as opened:
        yield opened
