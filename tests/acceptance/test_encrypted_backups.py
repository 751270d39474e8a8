"""Backups that are encrypted: made, proven and restored with the key, with it behind a newer one, and not without."""

from __future__ import annotations

import pytest
from pyrage import x25519

from tests.acceptance.test_postgres_versions import issue, validate
from tests.live import LiveServer

pytestmark = pytest.mark.acceptance

DATABASE = "itechsmart_licenses"


def test_an_encrypted_backup_comes_back_with_its_key_also_behind_a_newer_one_and_never_without(
    embedded_server: LiveServer,
) -> None:
    server = embedded_server
    key, newer = str(x25519.Identity.generate()), str(x25519.Identity.generate())
    server.environment["BACKUP_ENCRYPTION_KEY"] = key
    with server:
        license_key = issue(server)
        made = server.json("backup")
        file = server.folder / "data" / "backups" / made["result"]["fileName"]
        head = file.read_bytes()[:21]

        del server.environment["BACKUP_ENCRYPTION_KEY"]
        without = server.command("backups", "verify", "--json")
        refused = server.command("restore", "--confirm", DATABASE, "--force")
        server.environment["BACKUP_ENCRYPTION_KEY"] = f"{newer},{key}"
        proven = server.json("backups", "verify")
        restored = server.json("restore", "--confirm", DATABASE)
        code = validate(server, license_key, "one")

    assert (file.suffix, head) == (".age", b"age-encryption.org/v1")
    assert (without.returncode, "BACKUP_ENCRYPTION_KEY" in without.stdout + without.stderr) == (1, True)
    assert (refused.returncode, "BACKUP_ENCRYPTION_KEY" in refused.stdout + refused.stderr) == (1, True)
    assert (proven["status"], restored["status"], code) == ("succeeded", "succeeded", "VALID")
    assert key not in server.stdout_path.read_text() + server.stderr() + without.stdout + refused.stdout
