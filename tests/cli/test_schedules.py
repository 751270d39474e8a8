"""Schedules on the command line, and slots that several processes want to do at the same time."""

from __future__ import annotations

import json
import subprocess
import sys

import psycopg

from tests.cli.conftest import CommandLine
from tests.live import wait_until


def make_due(url: str, *names: str, cron: str = "0 0 1 1 *") -> None:
    """Have schedules wait for a slot that came a minute ago; their own comes once a year."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO schedules (name, kind, cron, next_run_at)"
            " SELECT unnest(%s::text[]), 'analyze', %s, now() - interval '1 minute'",
            [list(names), cron],
        )


def test_the_life_of_a_schedule_on_the_command_line(cli: CommandLine) -> None:
    nightly = ("schedules", "set", "nightly")
    assert "say --kind and --cron" in cli.usage(*nightly, "--cron", "0 2 * * *")

    made = cli.json(*nightly, "--kind", "analyze", "--cron", "0 2 * * *", "--table", "licenses", "--missed", "skip")
    moved = cli.json(*nightly, "--cron", "30 2 * * *")
    assert (made["options"], len(made["nextRuns"])) == ({"tables": ["licenses"], "force": False}, 3)
    assert (moved["cron"], moved["options"], moved["missed"]) == ("30 2 * * *", made["options"], "skip")
    assert cli.json("schedules", "disable", "nightly")["nextRuns"] == []
    run = cli.json("schedules", "run", "nightly")
    assert (run["status"], run["schedule"], run["trigger"], run["slotAt"]) == ("succeeded", "nightly", "command", None)
    assert cli.json("schedules", "enable", "nightly")["lastRun"]["id"] == run["id"]
    assert "nightly" in cli.text("schedules", "list")
    assert cli.json("schedules", "delete", "nightly") == {"name": "nightly", "deleted": True}
    assert cli.refusal("schedules", "show", "nightly").endswith("(SCHEDULE_NOT_FOUND)")


def test_what_a_schedule_can_not_be_is_told_with_the_usage_or_a_code(cli: CommandLine) -> None:
    prune = ("schedules", "set", "monthly-prune")

    assert "prune has no such option" in cli.usage(*prune, "--table", "licenses")
    assert cli.refusal(*prune, "--cron", "0 0 31 2 *").endswith("(INVALID_CRON)")


def test_a_cron_of_the_host_does_what_is_due_and_learns_by_the_exit_code_when_something_failed(
    cli: CommandLine, fresh_database: str
) -> None:
    make_due(fresh_database, "one", "two")
    done = cli.json("schedules", "run-due")
    assert [(run["schedule"], run["status"]) for run in done["items"]] == [("one", "succeeded"), ("two", "succeeded")]
    assert done["problems"] == []
    assert cli.text("schedules", "run-due") == "Nothing is due that can be done now.\n"

    make_due(fresh_database, "broken", cron="soon")
    failed = cli.server.command("schedules", "run-due", "--json")
    assert (failed.returncode, json.loads(failed.stdout)["items"]) == (1, [])
    assert "The schedule broken can't be read" in failed.stderr
    assert "The schedule broken can't be read" in cli.server.command("schedules", "list").stderr


def test_two_servers_and_the_hosts_cron_do_a_slot_once(cli: CommandLine, fresh_database: str) -> None:
    names = [f"slot-{number}" for number in range(4)]
    commands = [
        [sys.executable, "-m", "app", *words] for words in (("serve",), ("serve",), *[("schedules", "run-due")] * 2)
    ]
    environment = {**cli.server.full_environment(), "PORT": "0"}
    cli.text("migrate")
    make_due(fresh_database, *names)

    with psycopg.connect(fresh_database, autocommit=True) as connection:

        def ended() -> list[tuple[str, str]]:
            return connection.execute("SELECT schedule, status FROM runs WHERE finished_at IS NOT NULL").fetchall()

        started = [
            subprocess.Popen(
                command, cwd=cli.server.folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            for command in commands
        ]
        try:
            wait_until(lambda: len(ended()) >= len(names), "every slot is done", 60)
            assert [process.wait(60) for process in started[2:]] == [0, 0]
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(60)

        assert sorted(ended()) == [(name, "succeeded") for name in names]
        assert connection.execute("SELECT count(*) FROM runs").fetchall() == [(len(names),)]
