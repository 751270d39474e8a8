"""What can be known of the image without a container engine."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app import __version__
from tests.house.container_files import (
    ROOT,
    copied_from_context,
    final_stage,
    ignore_patterns,
    instructions,
    is_in_context,
    only,
    services,
    setting_names,
    stages,
    sub_commands,
    tracked,
)

HADOLINT = Path(sys.executable).with_name("hadolint")

# Of Python and the shell: names that stand beside our settings.
FOREIGN_NAMES = {"LANG", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    finished = subprocess.run([HADOLINT, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True)

    assert (finished.returncode, finished.stdout + finished.stderr) == (0, "")


def test_every_stage_starts_from_one_exact_version() -> None:
    images = {instruction.rest.split()[0] for stage in stages() for instruction in stage[:1]}
    default = next(rest for word, rest in instructions() if word == "ARG")

    assert images == {"${PYTHON_IMAGE}"}
    assert re.fullmatch(r"PYTHON_IMAGE=python:3\.\d+\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", default)


def test_the_image_runs_as_a_numbered_user_that_is_not_root() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", only("USER"))


def test_signals_reach_the_server_because_no_shell_stands_between() -> None:
    assert json.loads(only("ENTRYPOINT")) == ["license-server"]
    assert json.loads(only("CMD")) == ["serve"]
    assert "serve" in sub_commands()
    assert only("STOPSIGNAL") == "SIGTERM"


def test_the_image_asks_the_server_itself_for_its_health() -> None:
    options, command = only("HEALTHCHECK").split("CMD", 1)

    assert json.loads(command) == ["license-server", "healthcheck"]
    assert {option.split("=")[0] for option in options.split()} == {
        "--interval",
        "--timeout",
        "--start-period",
        "--retries",
    }


def test_the_image_offers_port_3001_and_keeps_its_data_in_one_volume() -> None:
    assert only("EXPOSE") == "3001"
    assert json.loads(only("VOLUME")) == ["/data"]


def test_the_last_stage_has_no_build_tools_and_no_package_lists() -> None:
    commands = [rest for word, rest in final_stage() if word == "RUN"]

    for command in commands:
        assert not re.search(r"\b(pip|gcc|build-essential|curl|wget|gpg|git)\b", command)
    for command in (rest for word, rest in instructions() if word == "RUN" and "apt-get install" in rest):
        assert "--no-install-recommends" in command
        assert "rm -rf /var/lib/apt/lists/*" in command


def test_only_hashed_packages_are_installed() -> None:
    runs = [rest for word, rest in instructions() if word == "RUN"]
    installs = [command for run in runs for command in run.split("&&") if re.search(r"\bpip .*install", command)]

    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install


def test_the_build_tools_named_in_the_dockerfile_are_locked() -> None:
    recipe = next(rest for _, rest in instructions() if rest.startswith("awk"))
    alternatives = re.search(r"\^\(([a-z|-]+)\)==", recipe)
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements-dev.lock").read_text(), re.MULTILINE))

    assert alternatives is not None
    assert set(alternatives[1].split("|")) <= locked


def test_the_version_on_the_label_is_the_version_of_the_project() -> None:
    compose_image = services()["license-server"]["image"]

    assert f"VERSION={__version__}" in [rest for word, rest in final_stage() if word == "ARG"]
    assert compose_image == f"itechsmart-license-server:{__version__}"


def test_everything_the_dockerfile_copies_is_in_the_build_context() -> None:
    for source in copied_from_context():
        assert (ROOT / source).exists(), source
        assert is_in_context(source), source


@pytest.mark.parametrize(
    "private",
    [
        ".env",
        ".env.production",
        ".git/config",
        "app/__pycache__/main.cpython-313.pyc",
        "data/postgres/PG_VERSION",
        "deploy/compose/init-secrets",
        "docker-compose.yml",
        "secrets/database_url",
        "tests/conftest.py",
        ".venv/bin/python",
    ],
)
def test_private_and_needless_files_stay_outside_of_the_build_context(private: str) -> None:
    assert not is_in_context(private)


def test_everything_named_in_dockerignore_exists() -> None:
    for pattern in ignore_patterns():
        if pattern.startswith("!"):
            assert (ROOT / pattern[1:]).exists(), pattern


def test_the_files_of_the_image_are_enough_to_import_the_package_beside_its_migrations(
    tmp_path: Path,
) -> None:
    home = lay_out_image(tmp_path)
    program = (
        "import pathlib, app; from alembic.config import Config; from alembic.script import ScriptDirectory;"
        "home = pathlib.Path(app.__file__).parents[1];"
        "print(home); print(ScriptDirectory.from_config(Config(toml_file=home / 'pyproject.toml')).dir)"
    )

    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd="/",
        env={"PYTHONPATH": str(home), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )

    assert finished.stderr == ""
    assert finished.stdout.splitlines() == [str(home), str(home / "migrations")]


def test_no_file_of_the_package_is_left_behind(tmp_path: Path) -> None:
    home = lay_out_image(tmp_path)

    shipped = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}

    assert shipped == {"pyproject.toml", *tracked("app"), *tracked("migrations")}


def test_every_environment_name_in_the_image_is_a_setting() -> None:
    names = {pair.split("=")[0] for word, rest in final_stage() if word == "ENV" for pair in rest.split()}

    assert names - FOREIGN_NAMES <= setting_names()


def test_no_secret_is_part_of_the_image() -> None:
    for word, rest in instructions():
        assert word not in {"ENV", "ARG"} or not re.search("PASSWORD|TOKEN|SECRET|_URL", rest)


def test_every_sub_command_in_the_documentation_exists() -> None:
    text = (ROOT / "docs/containers.md").read_text()
    code = re.findall(r"```bash\n(.*?)```|`([^`\n]+)`", text, re.DOTALL)
    called = re.findall(
        r"(?<![\w-])(?:license-server|itechsmart-license-server:\S+) (?=([a-z][a-z-]+))",
        "\n".join(map("".join, code)),
    )

    assert called
    assert set(called) - {"license-server"} <= sub_commands()


def lay_out_image(folder: Path) -> Path:
    """A copy of what the last stage finds in /srv/license-server."""
    home = folder / "srv/license-server"
    build = next(stage for stage in stages() if stage[0].rest.endswith(" AS build"))
    [removed] = [re.findall(r"rm -- ([^&]+)", rest)[0].split() for _, rest in build if "rm -- " in rest]
    copied = [rest.split()[:-1] for word, rest in build if word == "COPY"]

    for source in (source for sources in copied for source in sources):
        for path in tracked(source):
            if is_in_context(path) and not any(fnmatch.fnmatch(path, pattern) for pattern in removed):
                (home / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, home / path)
    return home
