"""Whether the bucket of the backups answers, as the doctor tells it."""

from __future__ import annotations

import time
from pathlib import Path

from app.domain.findings import Level
from app.ops.backups.place_checks import check_bucket
from app.ops.backups.s3 import Patience
from app.ops.overview.doctor import PATIENCE_SECONDS, Patient, diagnose
from app.runtime import utc_now
from app.settings import Inspection, Settings
from app.vault import VaultError
from tests.conftest import make_settings
from tests.s3 import LiveS3, silent_server

HURRIED = Patience(1.0, 1.0)


def test_a_bucket_that_answers_is_good_and_left_as_it_was(s3: LiveS3, tmp_path: Path) -> None:
    settings = make_settings("postgresql://nobody@127.0.0.1:1/none", tmp_path, **s3.settings)

    [found] = check_bucket(settings, HURRIED)

    assert (found.level, found.check) == (Level.GOOD, "backup_bucket")
    assert s3.names() == []


def test_a_bucket_that_is_not_there_is_bad(s3: LiveS3, tmp_path: Path) -> None:
    others = {**s3.settings, "backup_s3_url": "s3://nobodys-bucket/x"}

    [found] = check_bucket(make_settings("postgresql://nobody@127.0.0.1:1/none", tmp_path, **others), HURRIED)

    assert found.level is Level.BAD
    assert "NoSuchBucket" in found.sentence


def test_without_a_bucket_nothing_is_said(tmp_path: Path) -> None:
    assert check_bucket(Settings.model_validate({"data_dir": tmp_path})) == []


async def test_the_doctor_tells_of_a_silent_bucket_in_time(tmp_path: Path) -> None:
    with silent_server() as endpoint:
        settings = make_settings(
            "postgresql://nobody@127.0.0.1:1/none",
            tmp_path,
            backup_s3_url="s3://acme",
            backup_s3_endpoint=endpoint,
            backup_s3_access_key_id="a",
            backup_s3_secret_access_key="b",
        )
        began_at = time.monotonic()
        findings = await diagnose(
            Patient(Inspection(settings, (), frozenset()), None, None, VaultError("none")), clock=utc_now
        )
        took = time.monotonic() - began_at

    [found] = [one for one in findings if one.check == "backup_bucket"]
    assert found.level is Level.BAD
    assert "did not answer in time" in found.sentence
    assert took < PATIENCE_SECONDS
