"""Certificates of the hosts that are watched, over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.domain.permissions import Permission
from tests.conftest import Clock, make_api_key, make_client, make_settings, running_app
from tests.tls_host import Authority, tls_host


async def test_each_host_is_told_with_its_dates_and_the_worst_is_the_level_of_all(
    fresh_database: str, tmp_path: Path, clock: Clock
) -> None:
    clock.now = datetime.now(UTC).replace(microsecond=0)
    certificate = Authority(tmp_path).issue(clock.now, timedelta(days=90))
    with tls_host(certificate) as host:
        settings = make_settings(fresh_database, tmp_path, tls_probe_hosts=(host,))
        async with running_app(settings, clock) as app:
            key = await make_api_key(app, frozenset({Permission.OPS_READ}))
            async with make_client(app, key) as client:
                answer = await client.get("/admin/certificates")

    assert answer.status_code == 200, answer.text
    [found] = answer.json()["certificates"]
    assert (answer.json()["level"], found["level"], found["host"]) == ("bad", "bad", host)
    assert found["issuer"] == "CN=Test Authority"
    assert found["notAfter"] == (clock.now + timedelta(days=90)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert found["action"].startswith("openssl s_client -connect 127.0.0.1:")
