"""A bucket as a store, on a real S3 server."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from app.domain.backups import BackupFileMissing, BackupUnavailable
from app.ops.backups.s3 import Patience, S3Store
from app.settings import Settings
from tests.conftest import make_settings
from tests.ops.backups.copies import make_content
from tests.s3 import BUCKET, PREFIX, SETTINGS, LiveS3, refusing_server, silent_server

BRISK = Patience(piece=1.0, word=1.0)


def _settings(folder: Path, **others: object) -> Settings:
    return make_settings("postgresql://nobody@127.0.0.1:1/none", folder, **others)


@pytest.fixture
def store(s3: LiveS3, tmp_path: Path) -> S3Store:
    return S3Store(_settings(tmp_path, **s3.settings))


def test_a_file_of_several_pieces_arrives_and_is_read_again(store: S3Store, s3: LiveS3) -> None:
    content = make_content(20_000_000)

    store.put("big.bin", io.BytesIO(content), len(content))

    assert s3.read("big.bin") == content
    with store.open("big.bin") as file:
        assert b"".join(iter(lambda: file.read(1_000_000), b"")) == content
    assert store.size("big.bin") == 20_000_000
    assert store.location("big.bin") == f"s3://{BUCKET}/{PREFIX}/big.bin"


def test_small_files_are_written_listed_and_deleted(store: S3Store, s3: LiveS3) -> None:
    store.put_text("b.json", "{}")
    store.put_text("a.json", "über")
    s3.write("folder/below.json", b"{}")

    assert store.read_text("a.json") == "über"
    assert store.list_sizes() == {"a.json": 5, "b.json": 2}
    assert store.list_names() == ["a.json", "b.json"]
    store.delete("a.json")
    store.delete("a.json")
    assert store.list_names() == ["b.json"]


def test_an_upload_whose_source_ends_badly_leaves_nothing(store: S3Store, s3: LiveS3) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 9_000_000:
                raise BackupUnavailable("The disk is broken.")
            return super().read(size)

    with pytest.raises(BackupUnavailable, match=r"^The disk is broken\.$"):
        store.put("big.bin", Broken(make_content(20_000_000)), 20_000_000)

    assert s3.names() == []
    assert s3.uploads() == []


def test_what_is_missing_is_told(store: S3Store) -> None:
    for ask in (store.open, store.read_text, store.size):
        with pytest.raises(BackupFileMissing, match=rf"^s3://{BUCKET}/{PREFIX}/none\.bin is missing\.$"):
            ask("none.bin")


def test_a_bucket_that_does_not_exist_is_told(s3: LiveS3, tmp_path: Path) -> None:
    store = S3Store(_settings(tmp_path, **{**s3.settings, "backup_s3_url": "s3://nobodys-bucket"}))

    for ask in (lambda: store.read_text("x"), store.list_names, lambda: store.put_text("x", "y")):
        with pytest.raises(BackupUnavailable, match=r"^BACKUP_S3_URL s3://nobodys-bucket can't be used: "):
            ask()


def test_a_file_that_is_replaced_while_it_is_read_is_noticed(store: S3Store, s3: LiveS3) -> None:
    s3.write("big.bin", make_content(20_000_000))

    with store.open("big.bin") as file:
        file.read(1000)
        s3.write("big.bin", make_content(20_000_001))
        with pytest.raises(BackupUnavailable, match=r"PreconditionFailed|412"):
            file.read(19_000_000)


def test_refusals_are_one_sentence_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "somebody-elses")
    with refusing_server(403, "InvalidAccessKeyId") as (endpoint, asked):
        others = {"backup_s3_url": "s3://acme", "backup_s3_endpoint": endpoint, **SETTINGS}
        with pytest.raises(BackupUnavailable) as caught:
            S3Store(_settings(tmp_path, **others), BRISK).put_text("x", "y")

    assert caught.value.message == "BACKUP_S3_URL s3://acme can't be used: the server says InvalidAccessKeyId."
    assert "x-amz-security-token" not in asked[0]
    assert "Credential=AKIDTEST/" in asked[0]["authorization"]


def test_a_silent_server_is_given_up_in_time(tmp_path: Path) -> None:
    with silent_server() as endpoint:
        others = {"backup_s3_url": "s3://acme", "backup_s3_endpoint": endpoint, **SETTINGS}
        store = S3Store(_settings(tmp_path, **others), BRISK)
        began_at = time.monotonic()
        with pytest.raises(BackupUnavailable, match="did not answer in time"):
            store.put("x", io.BytesIO(make_content(9_000_000)), 9_000_000)

    assert time.monotonic() - began_at < 8


def test_a_server_that_is_away_is_told_at_once(tmp_path: Path) -> None:
    others = {"backup_s3_url": "s3://acme", "backup_s3_endpoint": "http://127.0.0.1:1", **SETTINGS}
    with pytest.raises(BackupUnavailable, match="nobody answers at its address"):
        S3Store(_settings(tmp_path, **others), BRISK).list_names()
