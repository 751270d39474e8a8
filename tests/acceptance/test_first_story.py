"""The main job from end to end on the embedded database: start, issue, validate, look, stop, start again."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from typing import Any

import httpx
import psycopg
import pytest

from app.db.embedded import embedded_postgres
from tests.live import LiveServer

pytestmark = pytest.mark.acceptance


def test_the_first_license_is_issued_validated_seen_everywhere_and_survives_a_restart(
    embedded_server: LiveServer,
) -> None:
    server = embedded_server
    server.start()
    server.wait_until_ready()

    token = _run_the_printed_curl_line(server)["token"]
    _use_api_key(server, token)
    issued = _issue_license(server.client)
    answer = _validate(server, issued["licenseKey"])

    assert (answer["valid"], answer["code"], answer["license"]["organization"]) == (True, "VALID", "Acme Corp")
    assert _sample(server, 'license_server_validations_total{code="VALID"}') == 1.0
    _assert_rows_were_written(server, issued["id"])
    [line] = [line for line in server.lines() if line["event"] == "license validation"]
    assert line["message"] == "POST /api/licenses/validate HTTP/1.1 200"
    assert line["outcome"] == "License validation VALID"
    assert list(line.items())[-1] == ("ip", "127.0.0.1")

    assert server.stop(signal.SIGTERM) == 0
    assert server.postgres_processes() == []
    server.start()
    server.wait_until_ready()

    assert server.stderr().count("with password") == 1
    assert _validate(server, issued["licenseKey"])["valid"] is True
    assert server.client.get(f"/api/licenses/{issued['id']}").json()["status"] == "ACTIVE"
    assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.stderr()


def test_a_second_start_is_ready_within_seconds(embedded_server: LiveServer) -> None:
    server = embedded_server
    server.start()
    server.wait_until_ready()
    server.stop()

    began_at = time.monotonic()
    server.start()
    server.wait_until_ready()

    # Under 2 s on an idle machine; the bound leaves room for a slow one that runs other tests at the same time.
    assert time.monotonic() - began_at < 20


def _run_the_printed_curl_line(server: LiveServer) -> dict[str, Any]:
    [line] = [line for line in server.stderr().splitlines() if line.startswith("curl") and "login" in line]
    ran = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=10, check=True)
    session: dict[str, Any] = json.loads(ran.stdout)
    return session


def _use_api_key(server: LiveServer, token: str) -> None:
    wish = {"name": "story", "scopes": ["licenses:read", "licenses:write", "organizations:write", "products:write"]}
    created = server.client.post("/api/api-keys", json=wish, headers={"Authorization": f"Bearer {token}"})
    assert created.status_code == 201, created.text
    server.client.headers["X-API-Key"] = created.json()["apiKey"]


def _issue_license(api: httpx.Client) -> dict[str, Any]:
    organization = {"name": "Acme Corp", "domain": "acme.example", "email": "it@acme.example"}
    organization_id = api.post("/api/organizations", json=organization).json()["id"]
    api.post("/api/products", json={"id": "itechsmart-ninja", "name": "Ninja"})
    wish = {"organizationId": organization_id, "tier": "PROFESSIONAL", "allowedProducts": ["itechsmart-ninja"]}
    issued = api.post("/api/licenses", json=wish)
    assert issued.status_code == 201, issued.text
    license: dict[str, Any] = issued.json()
    assert re.fullmatch(r"([A-HJ-NP-Z2-9]{4}-){4}[A-HJ-NP-Z2-9]{4}", license["licenseKey"])
    return license


def _validate(server: LiveServer, license_key: str) -> dict[str, Any]:
    wish = {"licenseKey": license_key, "productId": "itechsmart-ninja"}
    answer: dict[str, Any] = server.client.post("/api/licenses/validate", json=wish).json()
    return answer


def _sample(server: LiveServer, series: str) -> float:
    text = server.client.get("/metrics").text
    [value] = [line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(f"{series} ")]
    return float(value)


def _assert_rows_were_written(server: LiveServer, license_id: str) -> None:
    with embedded_postgres(server.folder / "data") as postgres, psycopg.connect(postgres.url) as connection:
        answers = connection.execute("SELECT license_id::text, code, host(ip) FROM validation_events").fetchall()
        news = connection.execute("SELECT event FROM audit_events ORDER BY occurred_at, id").fetchall()
    assert answers == [(license_id, "VALID", "127.0.0.1")]
    assert [event for (event,) in news] == [
        "user.created",
        "user.signed_in",
        "api_key.created",
        "organization.created",
        "product.created",
        "license.issued",
    ]
