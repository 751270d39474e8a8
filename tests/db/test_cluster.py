"""What cannot be used is refused in one sentence that says what to do."""

import os
import pwd
import socket
import tempfile
from pathlib import Path

import pytest

from app.db.cluster import Cluster
from app.db.embedded import EmbeddedPostgresError, acquire
from app.db.programs import Account

NOBODY = pwd.getpwnam("nobody")

only_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")


def test_server_of_another_container_is_left_alone(data_dir: Path) -> None:
    acquire(data_dir).release()
    with socket.socket(socket.AF_UNIX) as unseen:
        unseen.bind(str(data_dir / "postgres" / ".s.PGSQL.5432"))
        unseen.listen()

        with pytest.raises(EmbeddedPostgresError, match="another container serves"):
            acquire(data_dir)


def test_socket_folder_of_somebody_else_is_refused(private_folder: Path) -> None:
    data_dir = private_folder / ("long" * 30)
    acquire(data_dir).release()
    name = Cluster(data_dir / "postgres", Path(), Account(0, 0, "")).name
    parent = Path("/run") if os.geteuid() == 0 else Path(tempfile.gettempdir())
    (parent / name).mkdir(mode=0o755)

    with pytest.raises(EmbeddedPostgresError, match="was made by somebody else: remove it"):
        acquire(data_dir)

    (parent / name).rmdir()


def test_data_of_another_major_version_is_refused_untouched(data_dir: Path) -> None:
    acquire(data_dir).release()
    (data_dir / "postgres" / "PG_VERSION").write_text("15\n")
    before = {path: path.lstat().st_mtime_ns for path in (data_dir / "postgres").rglob("*")}

    with pytest.raises(EmbeddedPostgresError, match=r"is of PostgreSQL 15, and the installed .* is PostgreSQL 18"):
        acquire(data_dir)

    assert {path: path.lstat().st_mtime_ns for path in (data_dir / "postgres").rglob("*")} == before


def test_failed_start_tells_what_postgres_said(data_dir: Path) -> None:
    acquire(data_dir).release()
    with (data_dir / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("nonsense = 1\n")

    with pytest.raises(EmbeddedPostgresError, match='unrecognized configuration parameter "nonsense"'):
        acquire(data_dir)


def test_unusable_data_folder_is_named(private_folder: Path) -> None:
    (private_folder / "file").touch()

    with pytest.raises(EmbeddedPostgresError, match=f"DATA_DIR {private_folder}/file/data .*choose another DATA_DIR"):
        acquire(private_folder / "file" / "data")


def test_folder_that_holds_something_else_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "letter.txt").touch()
    if os.geteuid() == 0:
        os.chown(data_dir / "postgres", NOBODY.pw_uid, NOBODY.pw_gid)

    with pytest.raises(EmbeddedPostgresError, match="holds no PostgreSQL database: move it away"):
        acquire(data_dir)


@only_as_root
def test_cluster_that_belongs_to_root_is_refused_with_the_remedy(data_dir: Path) -> None:
    acquire(data_dir).release()
    os.chown(data_dir / "postgres", 0, 0)

    with pytest.raises(EmbeddedPostgresError, match="chown -R itechsmart-postgres"):
        acquire(data_dir)
