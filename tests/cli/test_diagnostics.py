"""Answers about the database on the command line are those of HTTP, and need no running server."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from dataclasses import fields, is_dataclass

from app.cli.diagnostics import app
from app.domain import diagnostics as domain
from app.domain import findings
from app.domain.words import camel_case
from app.web.schemas import diagnostics as schemas
from app.web.schemas.base import Out
from tests.cli.conftest import CommandLine
from tests.web.routes import ACCESS

NAMES = sorted(route.rpartition("/")[2] for route in ACCESS if route.startswith("GET /admin/database/"))


def values_of_the_domain() -> dict[str, set[str]]:
    """The members of each value that answers are made of, as the command line prints them."""
    modules = [
        importlib.import_module(f"{domain.__name__}.{one.name}") for one in pkgutil.iter_modules(domain.__path__)
    ]
    return {
        name: {camel_case(one.name) for one in fields(value)}
        for module in [*modules, findings]
        for name, value in inspect.getmembers(module, inspect.isclass)
        if is_dataclass(value)
    }


def test_there_is_a_command_for_every_route() -> None:
    assert sorted(command.name or "" for command in app.registered_commands) == NAMES


def test_a_command_prints_the_members_that_http_has() -> None:
    values = values_of_the_domain()

    for name, schema in inspect.getmembers(schemas, inspect.isclass):
        if (
            issubclass(schema, Out)
            and schema.__module__ == schemas.__name__
            and "[" not in name
            and name != "OverviewOut"
        ):
            members = {field.alias for field in schema.model_fields.values()}
            assert members == values[name.removesuffix("Out")], name


def test_an_operator_reads_what_is_there_and_what_is_missing(cli: CommandLine) -> None:
    overview = cli.json("database", "overview")
    said = cli.text("database", "overview").splitlines()
    costs = cli.text("database", "slow-queries")
    sizes = cli.text("database", "tables", "--limit", "500")

    assert (overview["level"], overview["findings"][0]["action"]) == (
        "unavailable",
        "CREATE EXTENSION pg_stat_statements;",
    )
    assert "  → CREATE EXTENSION pg_stat_statements;" in said
    assert re.fullmatch(r"Overall unavailable: \d unavailable, \d+ good\.", said[-1])
    assert "To change that: CREATE EXTENSION pg_stat_statements;" in costs
    assert "validation_events" in sizes
    assert "greater than or equal to 1" in cli.usage("database", "tables", "--limit", "0")


def test_people_read_words_and_no_index_to_drop_before_it_was_watched_for_a_week(cli: CommandLine) -> None:
    unused = cli.text("database", "unused-indexes")
    replication = cli.text("database", "replication")
    foreign_keys = cli.text("database", "foreign-keys")

    assert "is conclusive: no" in unused
    assert "DROP INDEX" not in unused
    assert "ix_audit_events_occurred_at" in unused
    assert re.search(r"^wal: [\d.]+ MB$", replication, re.MULTILINE)
    assert replication.endswith("replication: none.\n")
    assert '["' not in foreign_keys
