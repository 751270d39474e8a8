"""Certificates on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.live import LiveServer, free_port
from tests.tls_host import Authority, tls_host


def test_the_command_needs_no_server_and_its_exit_code_tells_whether_one_is_bad(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    now = datetime.now(UTC)
    with tls_host(authority.issue(now, timedelta(days=90))) as good:
        environment = {"TLS_PROBE_HOSTS": good, "SSL_CERT_FILE": str(authority.file)}
        trusted = LiveServer(tmp_path, environment, free_port()).json("certificates")
        environment.pop("SSL_CERT_FILE")
        refused = LiveServer(tmp_path, environment, free_port()).command("certificates")

    assert (trusted["level"], trusted["certificates"][0]["host"]) == ("good", good)
    assert refused.returncode == 1
    assert refused.stdout.startswith("bad")
    assert f"openssl s_client -connect {good}" in refused.stdout
