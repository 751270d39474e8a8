"""What can be known of the compose file and its secrets without a container engine."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from app.db.embedded import EXTENSIONS
from tests.house.container_files import ROOT, compose, final_stage, only, services, setting_names, sub_commands

INIT_SECRETS = ROOT / "deploy/compose/init-secrets"
SCRIPTS = [INIT_SECRETS]
SECRET_NAMES = ["admin_password", "database_url", "encryption_key", "postgres_password"]
POSTGRES_IMAGE_NAMES = {"POSTGRES_DB", "POSTGRES_INITDB_ARGS", "POSTGRES_PASSWORD_FILE", "POSTGRES_USER"}


def test_the_compose_file_is_well_formed() -> None:
    schema = json.loads((ROOT / "tests/house/compose.schema.json").read_text())

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(compose())


def test_the_services_and_the_database_have_the_names_of_the_contract() -> None:
    assert set(services()) == {"license-server", "postgres"}
    assert services()["license-server"]["container_name"] == "itechsmart-license-server"
    assert services()["postgres"]["environment"]["POSTGRES_DB"] == "itechsmart_licenses"
    assert services()["postgres"]["environment"]["POSTGRES_USER"] == "postgres"


def test_nothing_but_port_3001_is_published() -> None:
    published = {name: service["ports"] for name, service in services().items() if "ports" in service}

    assert published == {"license-server": ["3001:3001"]}


def test_what_a_service_refers_to_is_declared() -> None:
    for service in services().values():
        named_volumes = {volume.split(":")[0] for volume in service["volumes"] if not volume.startswith((".", "/"))}
        assert set(service["networks"]) <= set(compose()["networks"])
        assert set(service.get("secrets", [])) <= set(compose()["secrets"])
        assert set(service.get("depends_on", {})) <= set(services())
        assert named_volumes <= set(compose()["volumes"])


def test_every_host_path_in_the_compose_file_exists_or_is_made_by_init_secrets() -> None:
    mounted = [volume.split(":")[0] for service in services().values() for volume in service["volumes"]]
    builds = [service["build"] for service in services().values() if "build" in service]
    secret_files = [secret["file"] for secret in compose()["secrets"].values()]

    for path in [*builds, *(path for path in mounted if path.startswith("."))]:
        assert (ROOT / path).exists(), path
    assert secret_files == [f"./secrets/{name}" for name in SECRET_NAMES]


def test_the_server_works_with_a_read_only_root_and_no_privileges() -> None:
    server = services()["license-server"]

    assert server["read_only"] is True
    assert server["cap_drop"] == ["ALL"]
    assert server["security_opt"] == ["no-new-privileges:true"]
    assert [mount.split(":")[0] for mount in server["tmpfs"]] == ["/tmp"]
    assert [volume.split(":")[1] for volume in server["volumes"]] == [*json.loads(only("VOLUME")), "/backups"]


def test_backups_lie_on_a_volume_of_their_own_that_the_server_may_write_to() -> None:
    server = services()["license-server"]

    assert server["environment"]["BACKUP_DIR"] == "/backups"
    assert "license-server-backups:/backups" in server["volumes"]
    [made] = [one.rest for one in final_stage() if "install --directory" in one.rest]
    assert "install --directory --owner=10001 --group=10001 --mode=0700 /data /backups" in made


def test_the_server_waits_until_the_database_is_healthy() -> None:
    assert services()["license-server"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services()["license-server"]["healthcheck"]["test"] == ["CMD", "license-server", "healthcheck"]
    assert services()["postgres"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_logs_of_every_service_are_bounded_as_the_guide_rotates_them() -> None:
    for service in services().values():
        assert service["logging"]["options"]["max-size"] == "10m"
        assert service["logging"]["options"]["max-file"] == "7"


def test_postgresql_counts_statements_from_the_first_start() -> None:
    assert "shared_preload_libraries=pg_stat_statements" in services()["postgres"]["command"]


def test_postgresql_has_the_extensions_that_the_embedded_one_has() -> None:
    script = (ROOT / "deploy/postgres/10-extensions.sql").read_text()

    assert tuple(re.findall(r"^CREATE EXTENSION IF NOT EXISTS (\w+);$", script, re.MULTILINE)) == EXTENSIONS


def test_no_password_or_key_is_written_down_or_has_a_default() -> None:
    for service in services().values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|KEY|TOKEN|URL|DSN", name):
                assert name.endswith("_FILE"), name
                assert value.removeprefix("/run/secrets/") in service["secrets"], name
            assert not re.search(r"\$\{\w+:?-", value), name


def test_every_environment_name_in_the_compose_file_is_a_setting() -> None:
    assert set(services()["license-server"]["environment"]) <= setting_names()
    assert set(services()["postgres"]["environment"]) <= POSTGRES_IMAGE_NAMES


def test_the_sub_command_of_the_health_check_exists() -> None:
    assert services()["license-server"]["healthcheck"]["test"][2] in sub_commands()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
@pytest.mark.parametrize("checker", [["bash", "-n"]], ids=lambda checker: checker[0])
def test_scripts_pass_the_checkers(script: Path, checker: list[str]) -> None:
    finished = subprocess.run([*checker, script], capture_output=True, text=True)

    assert (finished.returncode, finished.stdout + finished.stderr) == (0, "")


def test_secrets_are_readable_by_the_containers_and_closed_to_others(tmp_path: Path) -> None:
    run_init_secrets(tmp_path)

    folder = tmp_path / "secrets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == dict.fromkeys(
        SECRET_NAMES, "0o444"
    )
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


def test_secrets_fit_each_other_and_are_strong(tmp_path: Path) -> None:
    run_init_secrets(tmp_path)

    secret = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert re.fullmatch("[0-9a-f]{48}", secret["postgres_password"])
    assert re.fullmatch("[0-9a-f]{24}", secret["admin_password"])
    assert len(base64.urlsafe_b64decode(secret["encryption_key"])) == 32
    assert secret["database_url"] == (
        f"postgresql://postgres:{secret['postgres_password']}@postgres:5432/itechsmart_licenses"
    )


def test_two_installations_share_no_secret(tmp_path: Path) -> None:
    contents = []
    for name in ["one", "two"]:
        (tmp_path / name).mkdir()
        run_init_secrets(tmp_path / name)
        contents.append({path.read_text() for path in (tmp_path / name / "secrets").iterdir()})

    assert contents[0].isdisjoint(contents[1])


def test_running_init_secrets_again_changes_nothing(tmp_path: Path) -> None:
    run_init_secrets(tmp_path)
    before = contents_of(tmp_path)

    run_init_secrets(tmp_path)
    refused = run_init_secrets(tmp_path, "other@example.org", expected_status=1)

    assert contents_of(tmp_path) == before
    assert refused.stderr.startswith("ADMIN_EMAIL in .env is another address than other@example.org")


def test_a_lost_secret_is_named_and_not_replaced(tmp_path: Path) -> None:
    run_init_secrets(tmp_path)
    (tmp_path / "secrets/encryption_key").unlink()

    finished = run_init_secrets(tmp_path, expected_status=1)

    assert "secrets/encryption_key is missing" in finished.stderr
    assert not (tmp_path / "secrets/encryption_key").exists()


def test_init_secrets_adds_to_an_env_file_and_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=debug")

    run_init_secrets(tmp_path, "operator@example.org")

    assert (tmp_path / ".env").read_text() == "LOG_LEVEL=debug\nADMIN_EMAIL=operator@example.org\n"


def test_no_secret_is_printed(tmp_path: Path) -> None:
    finished = run_init_secrets(tmp_path)

    for path in (tmp_path / "secrets").iterdir():
        assert path.read_text() not in finished.stdout + finished.stderr


def test_git_ignores_what_init_secrets_makes() -> None:
    made = ["secrets/postgres_password", "secrets.Ab12Cd/postgres_password", ".env"]

    finished = subprocess.run(["git", "check-ignore", *made], cwd=ROOT, capture_output=True, text=True)

    assert finished.stdout.splitlines() == made


def run_init_secrets(folder: Path, *arguments: str, expected_status: int = 0) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(
        ["bash", INIT_SECRETS, *arguments],
        env={"PATH": "/usr/bin:/bin", "PROJECT_DIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == expected_status, finished.stderr
    return finished


def contents_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
