"""Maintenance by command: done here and now, and refused with one sentence when a name means nothing."""

from __future__ import annotations

from tests.cli.conftest import CommandLine


def test_maintenance_prints_what_came_of_each_table(cli: CommandLine) -> None:
    run = cli.json("maintenance", "vacuum", "--table", "licenses", "--force")

    [entry] = run["result"]["tables"]
    assert (run["status"], entry["name"], entry["action"]) == ("succeeded", "public.licenses", "vacuumed")


def test_people_read_what_came_of_each_table_in_a_line(cli: CommandLine) -> None:
    lines = [line.split() for line in cli.text("maintenance", "vacuum", "--table", "licenses").splitlines()]

    assert ["tables"] in lines
    assert ["name", "action", "reason"] in lines
    assert [line[:2] for line in lines if "public.licenses" in line] == [["public.licenses", "skipped"]]


def test_a_name_that_nothing_has_is_refused_with_one_sentence(cli: CommandLine) -> None:
    sentence = cli.refusal("maintenance", "reindex", "--index", "no_such_index")

    assert sentence == (
        "There is no such index here: no_such_index. Those of system catalogs don't count. (UNKNOWN_INDEXES)"
    )
    assert cli.json("runs", "list")["items"] == []


def test_people_read_what_was_done_and_how_much_needed_nothing(cli: CommandLine) -> None:
    cli.text("maintenance", "analyze")
    lines = cli.text("maintenance", "reindex").splitlines()

    [counted] = [line for line in lines if " skipped; " in line]
    run_id = next(line for line in lines if line.startswith(" id ")).split()[1]
    assert counted.startswith("indexes: ")
    assert counted.endswith(f"why each: license-server runs show {run_id} --json")
    assert not any("progress" in line or "{" in line or "pk_licenses" in line for line in lines)
    assert len(lines) < 12


def test_people_read_a_line_for_each_kind_of_what_would_go(cli: CommandLine) -> None:
    text = cli.text("maintenance", "prune", "--dry-run")

    assert "{" not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["what", "would", "go"] in lines
    assert ["validation_events", "90", "days", "0", "0", "B", "0"] in lines
    assert ["options", "dryRun:", "yes"] in lines
