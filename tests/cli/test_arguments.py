"""Arguments are judged as strictly as the HTTP door judges bodies, and told with the usage."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import typer

from app.cli import arguments
from tests.cli.conftest import CommandLine


@pytest.mark.parametrize(
    ("parse", "wrong", "sentence"),
    [
        (arguments.parse_text, "", "must have 1 to 200 characters"),
        (arguments.parse_text, "   ", "must have 1 to 200 characters"),
        (arguments.parse_text, "x" * 201, "must have 1 to 200 characters"),
        (arguments.parse_text, "red \x1b[31m", "must not contain control characters"),
        (arguments.parse_text, "nul \0", "must not contain control characters"),
        (arguments.parse_text, os.fsdecode(b"\xff"), "must be valid UTF-8"),
        (arguments.parse_long_text, "x" * 501, "must have 1 to 500 characters"),
        (arguments.parse_imported_key, "SHORT", "must have 8 to 200 characters"),
        (arguments.parse_product_id, "Upper Case", "must be up to 100 of a-z 0-9 . _ - .*"),
        (arguments.parse_product_id, "ninja\n", "must be up to 100 of a-z 0-9 . _ - .*"),
        (arguments.parse_tier, "gold", "must be up to 50 of A-Z 0-9 _ and begin with a letter, .*"),
        (arguments.parse_moment, "0001-01-01", "must lie between the years 1970 and 9000"),
        (arguments.parse_moment, "9999-12-31", "must lie between the years 1970 and 9000"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(parse: object, wrong: str, sentence: str) -> None:
    assert callable(parse)
    with pytest.raises(typer.BadParameter, match=f"^{sentence}$"):
        parse(wrong)


def test_right_values_are_taken_without_surrounding_blanks() -> None:
    assert arguments.parse_text("  Größe & Söhne [/bold]  ") == "Größe & Söhne [/bold]"
    assert arguments.parse_moment("2030-12-31T18:00:00Z") == datetime(2030, 12, 31, 18, tzinfo=UTC)
    assert arguments.parse_email("it@acme.example") == "it@acme.example"


def test_bad_arguments_end_with_exit_code_2_and_the_usage(cli: CommandLine) -> None:
    organization = ("organizations", "create", "--name", "Acme", "--domain", "acme.example")

    assert "valid email address" in cli.usage(*organization, "--email", "nonsense")
    assert "must have 1 to 200 characters" in cli.usage(*organization[:5], "x" * 3000, "--email", "it@acme.example")
    assert "UUID" in cli.usage("licenses", "show", "xx")
    assert "exactly one of --tier and --plan-id" in cli.usage(
        "licenses", "issue", "--organization-id", "019a0000-0000-7000-8000-0000000000ff"
    )


def test_bytes_that_are_no_text_are_told_and_not_a_traceback(cli: CommandLine) -> None:
    command = [sys.executable, "-m", "app", "licenses", "validate", os.fsdecode(b"\xff\xfe-key")]

    ran = subprocess.run(command, cwd=cli.server.folder, env=cli.server.full_environment(), capture_output=True)

    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"must be valid UTF-8" in ran.stderr
