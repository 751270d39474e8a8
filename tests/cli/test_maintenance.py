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
