"""The style that can be checked by reading the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
FILES = [
    path
    for folder in ("app", "migrations", "tests", "scripts")
    for path in sorted((HOUSE / folder).rglob("*.py"))
    if "__pycache__" not in path.parts
]
LONG_BY_NATURE = {
    "create_app": "the one place where the application is put together",
    "upgrade": "a migration is a list of statements",
}
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}
ENVIRONMENT = {"os.environ", "os.getenv", "random.random", "random.choice"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(HOUSE))


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def dotted(node: ast.AST) -> str:
    """`datetime.now` for the attribute access of that name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".removeprefix(".")
    return node.id if isinstance(node, ast.Name) else ""


def long_functions(source: str) -> list[str]:
    return [
        f"{function.name} ({function.end_lineno - function.lineno + 1})"
        for function in functions(ast.parse(source))
        if function.name not in LONG_BY_NATURE
        and function.end_lineno is not None
        and function.end_lineno - function.lineno >= 40
    ]


def hidden_imports(source: str) -> list[int]:
    return [
        node.lineno
        for function in functions(ast.parse(source))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def commits(source: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "commit"
    ]


def readings_of_the_world(source: str) -> list[str]:
    return [dotted(node) for node in ast.walk(ast.parse(source)) if dotted(node) in CLOCKS | ENVIRONMENT]


def misplaced_sessions(source: str) -> list[str]:
    """Functions that take a session, but not as their first argument and under the name `tx`."""
    found = []
    for function in functions(ast.parse(source)):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        places = [
            place for place, one in enumerate(arguments) if one.annotation and ast.unparse(one.annotation) == "Session"
        ]
        if places and (places != [0] or arguments[0].arg != "tx"):
            found.append(function.name)
    return found


def test_files_were_found() -> None:
    assert HOUSE / "app" / "services" / "licenses.py" in FILES
    assert len(FILES) > 100


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_can_be_read_in_one_go(path: Path) -> None:
    source = path.read_text()

    assert len(source.splitlines()) <= 400
    assert long_functions(source) == []
    assert hidden_imports(source) == []


@pytest.mark.parametrize("path", [path for path in FILES if path.is_relative_to(HOUSE / "app")], ids=name_of)
def test_a_file_begins_with_what_it_is_for(path: Path) -> None:
    if path.read_text():
        assert ast.get_docstring(parse(path)), "the first line of a file says what it is for"


def test_only_the_owner_of_transactions_commits() -> None:
    found = [name_of(path) for path in FILES if path.is_relative_to(HOUSE / "app") and commits(path.read_text())]

    assert found == ["app/db/engine.py"]


@pytest.mark.parametrize("floor", ["domain", "services", "db/queries", "db/models"])
def test_no_floor_of_rules_reads_the_clock_the_environment_or_chance(floor: str) -> None:
    found = {name_of(path): readings_of_the_world(path.read_text()) for path in (HOUSE / "app" / floor).glob("*.py")}

    assert {name: readings for name, readings in found.items() if readings} == {}


@pytest.mark.parametrize("floor", ["services", "db/queries", "ops"])
def test_a_session_is_the_first_argument_and_is_called_tx(floor: str) -> None:
    found = {name_of(path): misplaced_sessions(path.read_text()) for path in (HOUSE / "app" / floor).glob("*.py")}

    assert {name: misplaced for name, misplaced in found.items() if misplaced} == {}


def test_services_have_their_caller_right_after_the_session() -> None:
    found = [
        f"{name_of(path)}: {function.name}"
        for path in (HOUSE / "app" / "services").glob("*.py")
        for function in functions(parse(path))
        for place, argument in enumerate(function.args.args)
        if argument.annotation and ast.unparse(argument.annotation) == "Principal" and argument.arg == "caller"
        if any(other.arg == "tx" for other in function.args.args) and place != 1
    ]

    assert found == []


def test_tests_do_not_sleep_to_wait() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        if path.is_relative_to(HOUSE / "tests") and path.name.startswith("test_")
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and dotted(node.func) == "asyncio.sleep"
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]

    assert found == []


def test_each_check_finds_what_it_looks_for() -> None:
    long = "def f():\n" + "    x = 1\n" * 40

    assert long_functions(long) == ["f (41)"]
    assert long_functions(long.removesuffix("    x = 1\n")) == []
    assert hidden_imports("import os\ndef f():\n    if True:\n        from os import path\n") == [4]
    assert commits("async def f(tx):\n    await tx.commit()\n") == [2]
    assert readings_of_the_world("now = datetime.now(UTC)\nhome = os.environ['HOME']\n") == [
        "datetime.now",
        "os.environ",
    ]
    assert misplaced_sessions("def f(a: UUID, tx: Session): ...\ndef g(tx: Session): ...\ndef h(s: Session): ...") == [
        "f",
        "h",
    ]
