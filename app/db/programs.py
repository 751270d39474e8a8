"""Runs PostgreSQL's own programs: as whom, with which environment, and for how long at most."""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ACCOUNT_NAME = "itechsmart-postgres"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Nothing else of our environment reaches the programs: PGDATA or LD_PRELOAD would change what they do.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": SYSTEM_PATH, "TZ": "UTC"}

WAY_OUT = "run the license server as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own"


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot be used; the message says what was found and what to do."""


class ProgramFailed(Exception):
    """A program ended with an error or not in time; the message is the end of what it wrote."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account a cluster belongs to and PostgreSQL's programs run as."""

    uid: int
    gid: int
    name: str

    @property
    def is_ourselves(self) -> bool:
        """Whether programs of this account run as the present user."""
        return self.uid == os.geteuid()


def choose_account(cluster_folder: Path) -> Account:
    """Choose whom PostgreSQL runs as: ourselves, or as root the cluster's owner or an account of its own."""
    uid = os.geteuid()
    owner = cluster_folder.stat().st_uid if cluster_folder.is_dir() else None
    if owner == uid and not any(cluster_folder.iterdir()):
        owner = None

    if uid == 0:
        # PostgreSQL refuses root. A cluster that exists keeps its owner: user ids of accounts may differ
        # between container images, and an ordinary user's cluster must stay his after one start with sudo.
        return _serving_account() if owner is None else _account_of(owner, cluster_folder)
    if owner not in (None, uid):
        raise EmbeddedPostgresError(
            f"The database folder {cluster_folder} belongs to user id {owner}, and this process is user id "
            f"{uid}: start the license server as its owner or as root, or choose another DATA_DIR."
        )
    return _find_account(uid) or Account(uid, os.getegid(), str(uid))


def run_program(account: Account, command: list[str], *, folder: Path, seconds: float) -> str:
    """Run a program in a folder and return what it wrote; ProgramFailed after an error or `seconds`."""
    foreign = not account.is_ourselves
    with _scratch() as output:
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=output,  # a file, because a pipe would stay open in a server the program leaves behind
                stderr=subprocess.STDOUT,
                timeout=seconds,
                start_new_session=True,  # ctrl-C is ours to handle
                umask=0o077,
                user=account.uid if foreign else None,
                group=account.gid if foreign else None,
                extra_groups=[] if foreign else None,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramFailed(f"{Path(command[0]).name} did not end within {seconds:g} s") from error
        except (PermissionError, subprocess.SubprocessError) as error:
            raise EmbeddedPostgresError(
                f"{command[0]} cannot be run as {account.name} ({error}): check that this process may change "
                f"its user and that {account.name} may read that file, or {WAY_OUT}."
            ) from error
        output.seek(0)
        text = output.read().decode(errors="replace")
    if done.returncode != 0:
        raise ProgramFailed(last_lines(text) or f"{Path(command[0]).name} ended with {done.returncode}")
    return text


def last_lines(text: str, count: int = 6) -> str:
    """Return the last lines that are not empty, joined for one sentence."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:])


def _account_of(owner: int, cluster_folder: Path) -> Account:
    if owner == 0:
        raise EmbeddedPostgresError(
            f"The database folder {cluster_folder} belongs to root, and PostgreSQL refuses to run as root: "
            f"give it to its account with `chown -R {_serving_account().name} {cluster_folder}` and start "
            "again."
        )
    return _find_account(owner) or Account(owner, cluster_folder.stat().st_gid, str(owner))


def _serving_account() -> Account:
    account = _find_account(ACCOUNT_NAME) or _make_account()
    if account.uid == 0:
        raise EmbeddedPostgresError(f"The account {ACCOUNT_NAME} is root, which PostgreSQL refuses: {WAY_OUT}.")
    return account


def _make_account() -> Account:
    useradd = shutil.which("useradd", path=SYSTEM_PATH)
    if useradd is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and there is no useradd to make the account {ACCOUNT_NAME}: "
            f"make that account yourself, {WAY_OUT}."
        )
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    complaint = ""
    try:
        run_program(Account(0, 0, "root"), command, folder=Path("/"), seconds=30)
    except ProgramFailed as error:
        complaint = str(error)  # another start may have made it at the same moment, so look again
    account = _find_account(ACCOUNT_NAME)
    if account is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and the account {ACCOUNT_NAME} could not be made "
            f"({complaint}): make it yourself, {WAY_OUT}."
        )
    return account


def _find_account(who: int | str) -> Account | None:
    try:
        entry = pwd.getpwuid(who) if isinstance(who, int) else pwd.getpwnam(who)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _scratch() -> IO[bytes]:
    """Open a file for a program's words, in memory where there is that, so that a full disk loses none."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("program-output"), "w+b")
    return tempfile.TemporaryFile()
