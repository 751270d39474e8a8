"""Every command does its work, with the server running and without, and speaks JSON."""

from __future__ import annotations

from pathlib import Path

import psycopg

from app import __version__
from tests.cli.conftest import CommandLine
from tests.live import LiveServer, free_port

NOBODY = "019a0000-0000-7000-8000-0000000000ff"


def test_the_life_of_a_license_on_the_command_line(cli: CommandLine) -> None:
    organization = cli.json(
        "organizations", "create", "--name", "Acme", "--domain", "acme.example", "--email", "it@acme.example"
    )
    cli.json("products", "create", "ninja", "--name", "Ninja")

    issued = cli.json(
        *("licenses", "issue", "--organization-id", organization["id"], "--tier", "PROFESSIONAL"),
        *("--product", "ninja", "--max-machines", "1", "--expires-at", "2031-12-31"),
    )
    license_id, license_key = issued["id"], issued["licenseKey"]

    assert issued["expiresAt"] == "2031-12-31T00:00:00.000Z"
    assert cli.json("licenses", "show", license_id)["maxMachines"] == 1
    assert cli.json("licenses", "show-key", license_id) == {"licenseKey": license_key}
    assert [item["id"] for item in cli.json("licenses", "list", "--status", "ACTIVE")["items"]] == [license_id]
    assert cli.json("licenses", "validate", license_key, "--machine-id", "one")["code"] == "VALID"
    assert cli.json("licenses", "validate", license_key, "--machine-id", "two", status=3) == {
        "valid": False,
        "code": "TOO_MANY_MACHINES",
        "reason": "Maximum number of machines exceeded",
    }
    assert cli.json("licenses", "suspend", license_id)["status"] == "SUSPENDED"
    assert cli.json("licenses", "reinstate", license_id)["status"] == "ACTIVE"
    assert cli.json("licenses", "renew", license_id, "--without-end")["expiresAt"] is None
    assert cli.json("licenses", "revoke", license_id)["status"] == "REVOKED"
    assert cli.refusal("licenses", "suspend", license_id).endswith("(LICENSE_STATE_CONFLICT)")


def test_the_other_nouns_on_the_command_line(cli: CommandLine) -> None:
    created = cli.json("api-keys", "create", "--name", "ci", "--scope", "licenses:read")
    assert created["apiKey"].startswith("itsk_")
    assert created["expiresAt"] is None
    rotated = cli.json("api-keys", "rotate", created["id"], "--overlap-hours", "1")
    assert rotated["apiKey"] != created["apiKey"]
    assert cli.refusal("api-keys", "rotate", created["id"]).endswith("(API_KEY_STATE_CONFLICT)")
    assert cli.json("api-keys", "revoke", created["id"]) == {"id": created["id"], "revoked": True}
    successor, listed = cli.json("api-keys", "list")["items"]
    assert (successor["id"], listed["replacedById"]) == (rotated["id"], rotated["id"])
    assert (listed["name"], listed["revokedAt"] is None, "apiKey" in listed) == ("ci", False, False)

    reports = ("api-keys", "create", "--name", "reports", "--scope", "licenses:read", "--expires-at")
    assert cli.json(*reports, "2099-12-31")["expiresAt"] == "2099-12-31T00:00:00.000Z"
    assert cli.refusal(*reports, "2020-12-31").endswith("(INVALID)")

    plans = cli.json("plans", "list")
    assert [plan["tier"] for plan in plans["items"]] == [
        "TRIAL",
        "STARTER",
        "PROFESSIONAL",
        "ENTERPRISE",
        "UNLIMITED",
    ]
    assert plans["nextCursor"] is None
    assert cli.json("organizations", "list") == {"items": [], "nextCursor": None}
    assert cli.text("products", "list") == "Nothing there yet.\n"


def test_commands_work_beside_a_running_server_and_a_reset_password_signs_in_at_once(cli: CommandLine) -> None:
    cli.server.start()
    cli.server.wait_until_ready()
    [line] = [line for line in cli.server.stderr().splitlines() if line.startswith("First operator")]
    old = line.split()[5]

    reset = cli.json("reset-password", "admin@example.com")

    assert reset["email"] == "admin@example.com"
    statuses = [
        cli.server.client.post("/api/auth/login", json={"email": "admin@example.com", "password": password}).status_code
        for password in (old, reset["password"])
    ]
    assert statuses == [401, 200]


def test_a_lost_second_factor_is_taken_off_an_account_and_its_sessions_end(
    cli: CommandLine, fresh_database: str
) -> None:
    cli.text("migrate")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET totp_secret_encrypted = 'x', totp_confirmed_at = now()")

        assert cli.json("reset-second-factor", "ADMIN@example.com") == {
            "email": "ADMIN@example.com",
            "secondFactor": False,
        }

        assert connection.execute("SELECT totp_secret_encrypted, totp_confirmed_at FROM users").fetchall() == [
            (None, None)
        ]
    assert cli.refusal("reset-second-factor", "nobody@example.com").endswith("(USER_NOT_FOUND)")


def test_commands_that_need_no_database_run_without_any_setting(tmp_path: Path) -> None:
    bare = CommandLine(LiveServer(tmp_path, {}, free_port()))

    assert bare.text("version") == f"{__version__}\n"
    assert bare.json("version") == {"version": __version__}
    assert len(bare.text("generate-key").strip()) == 44
    assert len(bare.json("generate-key")["key"]) == 44
    assert list(tmp_path.iterdir()) == []


def test_failures_are_one_sentence_with_a_code(cli: CommandLine) -> None:
    assert cli.refusal("licenses", "show", NOBODY) == "There is no license with this id. (LICENSE_NOT_FOUND)"
    assert cli.refusal("reset-password", "nobody@example.com").endswith("(USER_NOT_FOUND)")
    assert cli.refusal("products", "list", "--json", "--cursor", "garbäge").endswith("(INVALID_CURSOR)")


def test_a_database_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    away = f"postgresql://user:secret-word@127.0.0.1:{free_port()}/licenses"
    environment = {"DATABASE_URL": away, "ENCRYPTION_KEY": "A" * 43 + "="}
    lost = CommandLine(LiveServer(tmp_path, environment, free_port()))

    assert lost.refusal("products", "list") == (
        "The database does not answer; try again in a moment. (DATABASE_UNAVAILABLE)"
    )


def test_the_encryption_key_is_changed_without_losing_a_license_key(cli: CommandLine) -> None:
    old = cli.server.environment["ENCRYPTION_KEY"]
    new = cli.json("generate-key")["key"]
    organization = cli.json(
        "organizations", "create", "--name", "Acme", "--domain", "acme.example", "--email", "it@acme.example"
    )
    issued = cli.json("licenses", "issue", "--organization-id", organization["id"], "--tier", "UNLIMITED")

    cli.server.environment["ENCRYPTION_KEY"] = f"{new},{old}"
    assert cli.json("reencrypt", "--check")["outdated"] == 1
    assert cli.json("reencrypt")["renewed"] == 1

    cli.server.environment["ENCRYPTION_KEY"] = new
    assert cli.json("reencrypt") == {"lookedAt": 1, "renewed": 0}
    assert cli.json("licenses", "show-key", issued["id"])["licenseKey"] == issued["licenseKey"]

    cli.server.environment["ENCRYPTION_KEY"] = old
    assert cli.refusal("reencrypt").endswith("(ENCRYPTION_KEY_MISSING)")
