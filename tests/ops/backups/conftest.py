"""What tests of backups are given: a workbench on a database of the test's own, with a folder for backups."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db.workbench import Workbench
from app.settings import Settings
from tests.ops.backups.copies import bench_with
from tests.ops.maintenance.workshop import Workshop, open_workshop
from tests.s3 import LiveS3


@pytest.fixture
async def workshop(settings: Settings, fresh_database: str, tmp_path: Path) -> AsyncIterator[Workshop]:
    """A workbench as the superuser."""
    own = settings.model_copy(update={"backup_dir": tmp_path / "backups"})
    async with open_workshop(own, fresh_database) as opened:
        yield opened


@pytest.fixture
def bench(workshop: Workshop, s3: LiveS3) -> Workbench:
    """A workbench whose backups are copied into the bucket."""
    return bench_with(workshop.bench, **s3.settings)
