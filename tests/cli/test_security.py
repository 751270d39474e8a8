"""The security summary on the command line is the one of HTTP."""

from __future__ import annotations

from tests.cli.conftest import CommandLine

EMPTY = "Nothing happened.\n"


def test_the_summary_of_the_command_line_is_the_one_of_the_administration(cli: CommandLine) -> None:
    assert cli.text("security", "summary") == EMPTY
    key = cli.json("api-keys", "create", "--name", "ops", "--scope", "ops:read")["apiKey"]
    cli.server.start()
    cli.server.wait_until_ready()
    for _ in range(3):
        cli.server.client.get("/api/products", headers={"X-API-Key": "itsk_wrong"})
    cli.server.client.get("/api/products", headers={"X-API-Key": key})
    assert cli.server.stop() == 0
    cli.server.start()
    cli.server.wait_until_ready()

    over_http = cli.server.client.get("/admin/security/summary?window=90m", headers={"X-API-Key": key}).json()
    document = cli.json("security", "summary", "--window", "90m")
    text = cli.text("security", "summary")

    assert {one["event"]: one["count"] for one in over_http["events"]}["authn_token_fail"] == 3
    for moment in ("since", "until"):
        del over_http[moment], document[moment]
    stored = {one["event"]: one for one in document["events"]}
    assert all(stored[one["event"]]["count"] >= one["count"] for one in over_http["events"])
    assert document["kinds"] == over_http["kinds"]
    assert document["patterns"] == over_http["patterns"]
    assert document["thresholds"] == over_http["thresholds"]
    assert ["Refused credentials" in text, "127.0.0.1" in text, "authn_token_fail" in text, "ops" in text] == [True] * 4


def test_a_window_that_is_none_is_told_with_the_usage(cli: CommandLine) -> None:
    assert "must be a length from 5m to 7d, such as 90m, 24h or 7d" in cli.usage(
        "security", "summary", "--window", "1y"
    )
