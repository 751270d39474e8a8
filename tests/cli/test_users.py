"""People on the command line: invited, made, imported, disabled, deleted; the last operator stays."""

from __future__ import annotations

from pathlib import Path

import bcrypt

from tests.cli.conftest import CommandLine


def test_the_life_of_a_user_on_the_command_line(cli: CommandLine, tmp_path: Path) -> None:
    organization = cli.json(
        "organizations", "create", "--name", "Acme", "--domain", "acme.example", "--email", "it@acme.example"
    )
    place = ("--organization-id", organization["id"])
    hash_file = tmp_path / "hash"
    hash_file.write_bytes(bcrypt.hashpw(b"three blue boats", bcrypt.gensalt(4)) + b"\n")

    invited = cli.json("users", "invite", "--email", "Anna@acme.example", "--role", "ADMIN", *place)
    bert = ("--email", "bert@acme.example", "--name", "Bert", "--role", "MEMBER", *place)
    created = cli.json("users", "create", *bert)
    cora = ("--email", "cora@acme.example", "--name", "Cora", "--role", "VIEWER", *place)
    imported = cli.json("users", "create", *cora, "--password-hash-file", str(hash_file))

    assert invited["token"].startswith("itsi_")
    assert created["token"].startswith("itsp_")
    assert imported["token"] is None
    listed = cli.json("users", "list", *place)["items"]
    assert [item["email"] for item in listed] == ["cora@acme.example", "bert@acme.example"]
    assert cli.json("users", "set-role", "bert@acme.example", "--role", "ADMIN")["role"] == "ADMIN"
    assert cli.json("users", "disable", "bert@acme.example")["disabledAt"] is not None
    assert cli.json("users", "enable", "bert@acme.example")["disabledAt"] is None
    assert cli.json("users", "delete", "bert@acme.example") == {"id": created["id"], "deleted": True}
    assert cli.json("invitations", "revoke", invited["id"]) == {"id": invited["id"], "revoked": True}
    [shown] = cli.json("invitations", "list")["items"]
    assert (shown["email"], shown["revokedAt"] is None) == ("anna@acme.example", False)
    assert cli.refusal("users", "disable", "bert@acme.example").endswith("(USER_NOT_FOUND)")


def test_a_token_that_is_printed_is_told_where_to_type_in(cli: CommandLine) -> None:
    wish = ("--email", "second@acme.example", "--role", "OPERATOR")

    assert "/account/accept-invitation" in cli.server.command("users", "invite", *wish).stderr
    assert "/account/reset-password" in cli.server.command("users", "create", "--name", "Second", *wish).stderr


def test_the_last_operator_stays(cli: CommandLine) -> None:
    assert cli.server.command("migrate").returncode == 0

    for wish in (("disable",), ("delete",)):
        assert cli.refusal("users", *wish, "admin@example.com").endswith("(LAST_OPERATOR)")
    assert [item["email"] for item in cli.json("users", "list", "--role", "OPERATOR")["items"]] == ["admin@example.com"]


def test_a_hash_that_cannot_be_checked_is_wrong_usage(cli: CommandLine, tmp_path: Path) -> None:
    hash_file = tmp_path / "hash"
    wish = ("users", "create", "--email", "a@acme.example", "--name", "A", "--role", "OPERATOR")

    for text in ("plain password", "$2b$31$" + "a" * 53, "$2x$04$" + "a" * 53):
        hash_file.write_text(text)
        assert "must hold an argon2 hash" in cli.usage(*wish, "--password-hash-file", str(hash_file))
