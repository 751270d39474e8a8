"""Reports and errors on the command line: those of HTTP, with an exit code for cron, also without a database."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tests.cli.conftest import CommandLine
from tests.conftest import ENCRYPTION_KEY
from tests.live import LiveServer, free_port


def put_error(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO error_groups VALUES (date_trunc('hour', now()), 'f', 'defect', 'builtins.ValueError',"
            " 'app/services/licenses.py:issue', 3, now(), now())"
        )


def test_a_report_is_written_as_text_html_or_json_and_its_exit_code_is_that_which_was_asked_for(
    cli: CommandLine, fresh_database: str, tmp_path: Path
) -> None:
    put_error(fresh_database)
    text = cli.text("report", "weekly")
    document = cli.json("report", "weekly")
    page = tmp_path / "report.html"
    warned = cli.server.command("report", "weekly", "--format", "html", "--output", str(page), "--fail-on", "warning")
    nothing_bad = cli.server.command("report", "weekly", "--format", "json", "--fail-on", "bad")

    assert text.startswith("Weekly report: ")
    assert "3 error lines in 1 group were logged." in text
    assert (document["period"], document["level"]) == ("weekly", "warning")
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert (warned.returncode, warned.stdout) == (1, "")
    assert warned.stderr == f"{document['subject']}, in {page}\n"
    assert (nothing_bad.returncode, nothing_bad.stdout.startswith("{")) == (0, True)


def test_a_report_comes_while_the_database_is_away(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    server = LiveServer(tmp_path, {"DATABASE_URL": url, "ENCRYPTION_KEY": ENCRYPTION_KEY}, free_port())

    ran = server.command("report", "daily", "--fail-on", "bad")

    assert ran.returncode == 1
    assert "[bad] The database does not answer." in ran.stdout
    assert ran.stderr == ""


def test_a_file_that_cannot_be_written_and_a_period_that_is_none_are_told(cli: CommandLine, tmp_path: Path) -> None:
    assert "can't be written: No such file or directory." in cli.refusal(
        "report", "daily", "--output", str(tmp_path / "none" / "report.txt")
    )
    assert "'yearly' is not one of" in cli.usage("report", "yearly")


def test_errors_are_shown_by_group(cli: CommandLine, fresh_database: str) -> None:
    assert cli.text("errors") == "No errors were logged.\n"
    put_error(fresh_database)

    document = cli.json("errors", "--since", "2026-01-01T00:00:00Z", "--until", "2026-01-02")
    [group] = cli.json("errors")["groups"]
    text = cli.text("errors")

    assert (document["count"], document["groups"]) == (0, [])
    assert (group["event"], group["place"], group["count"], len(group["days"])) == (
        "defect",
        "app/services/licenses.py:issue",
        3,
        1,
    )
    assert "3 error lines in 1 group" in text
