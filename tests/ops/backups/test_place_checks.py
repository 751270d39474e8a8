"""Whether the places for backups can be used, as the doctor tells it."""

from __future__ import annotations

from pathlib import Path

from app.domain.findings import Level
from app.ops.backups.place_checks import check_stores
from app.ops.backups.s3 import Patience
from app.settings import Settings
from tests.conftest import make_settings
from tests.s3 import LiveS3, silent_server

BRISK = Patience(1.0, 1.0)


def _levels(settings: Settings) -> dict[str, Level]:
    return {one.check: one.level for one in check_stores(settings, BRISK)}


def test_a_folder_and_a_bucket_that_work_are_good_and_left_as_they_were(s3: LiveS3, tmp_path: Path) -> None:
    settings = make_settings("postgresql://nobody@127.0.0.1:1/none", tmp_path, **s3.settings)

    assert _levels(settings) == {
        "backup_folder": Level.GOOD,
        "backup_copies": Level.GOOD,
        "backup_disk": Level.GOOD,
        "backup_encryption": Level.WARNING,
    }
    assert s3.names() == []
    assert list(settings.backup_dir.iterdir()) == []


def test_backups_beside_the_embedded_database_alone_are_a_warning(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})

    levels = _levels(settings)

    assert (levels["backup_disk"], levels["backup_copies"]) == (Level.WARNING, Level.WARNING)


def test_a_folder_that_can_not_be_made_and_a_silent_bucket_are_bad(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with silent_server() as endpoint:
        settings = Settings.model_validate(
            {
                "data_dir": tmp_path,
                "backup_dir": tmp_path / "file" / "backups",
                "backup_s3_url": "s3://acme",
                "backup_s3_endpoint": endpoint,
                "backup_s3_access_key_id": "a",
                "backup_s3_secret_access_key": "b",
            }
        )
        levels = _levels(settings)

    assert (levels["backup_folder"], levels["backup_copies"]) == (Level.BAD, Level.BAD)
