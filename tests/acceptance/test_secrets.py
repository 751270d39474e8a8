"""Secrets stay inside: not in the log, answers, metrics, arguments of processes, or what settings say of themselves."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from app.settings import Settings, SettingsError, load_settings
from tests.conftest import ENCRYPTION_KEY, make_settings
from tests.live import LiveServer

pytestmark = pytest.mark.acceptance

METRICS_TOKEN = "metrics-token-do-not-tell-1"
ADMIN_PASSWORD = "admin-password-do-not-tell-2"
SMTP_PASSWORD = "smtp-password-do-not-tell-3"
TRIED_PASSWORD = "tried-password-do-not-tell-4"
TRIED_KEY = "itsk_tried-key-do-not-tell-5"
LICENSE_KEY = "ABCD-EFGH-JKLM-NPQR-STUV"
JSON = {"Content-Type": "application/json"}


def _provoke(server: LiveServer) -> list[str]:
    """Everything that answers say to requests with secrets in wrong places."""
    client = server.client
    login = {"email": "admin@example.com", "password": ADMIN_PASSWORD}
    token = client.post("/api/auth/login", json=login).json()["token"]
    answers = [
        client.post("/api/auth/login", json={"email": "admin@example.com", "password": TRIED_PASSWORD}),
        client.post("/api/auth/login", json={"email": TRIED_PASSWORD, "password": [TRIED_PASSWORD], "more": TRIED_KEY}),
        client.post("/api/auth/login", content=f'{{"password": "{TRIED_PASSWORD}', headers=JSON),
        client.get(
            f"/api/licenses?cursor={TRIED_KEY}&apiKey={TRIED_KEY}", headers={"Authorization": f"Bearer {token}"}
        ),
        client.get(f"/.env?password={TRIED_PASSWORD}", headers={"X-API-Key": TRIED_KEY}),
        client.get(f"/api/organizations/{TRIED_KEY}", headers={"Authorization": f"Bearer {token}"}),
        client.post("/api/licenses/validate", json={"licenseKey": LICENSE_KEY, "machineId": {"a": LICENSE_KEY}}),
        client.post("/api/licenses/validate", json={"licenseKey": LICENSE_KEY}),
        client.get("/metrics", headers={"Authorization": f"Bearer {TRIED_PASSWORD}"}),
        client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"}),
        client.get("/health"),
        client.get("/openapi.json"),
        client.post("/api/auth/logout", headers={"Authorization": f"Bearer {token}"}),
        client.get("/api/licenses", headers={"Authorization": f"Bearer {token}"}),
    ]
    return [token, *(answer.text + str(answer.headers) for answer in answers)]


@pytest.mark.parametrize("level", ["info", "verbose"])
def test_a_running_server_tells_no_secret(stopped_server: LiveServer, level: str) -> None:
    server = stopped_server
    server.environment |= {
        "ADMIN_PASSWORD": ADMIN_PASSWORD,
        "METRICS_TOKEN": METRICS_TOKEN,
        "SMTP_PASSWORD": SMTP_PASSWORD,
        "SMTP_USERNAME": "mailer",
        "SMTP_HOST": "mail.invalid",
        "LOG_LEVEL": level,
        "WEB_CONCURRENCY": "2",
    }
    server.start()
    server.wait_until_ready()
    token, *answers = _provoke(server)
    parent = psutil.Process(server.process.pid)
    titles = [" ".join([*process.cmdline(), process.name()]) for process in (parent, *parent.children(recursive=True))]
    assert server.stop() == 0

    told = "\n".join([server.stdout_path.read_text(), server.stderr(), *answers, *titles])
    secrets = [METRICS_TOKEN, ADMIN_PASSWORD, SMTP_PASSWORD, TRIED_PASSWORD, TRIED_KEY, LICENSE_KEY, ENCRYPTION_KEY]
    assert [secret for secret in (*secrets, token) if secret in told] == []
    assert len(titles) >= 3


def test_settings_that_are_shown_or_refused_tell_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://user:url-password-do-not-tell@127.0.0.1/licenses"
    settings = make_settings(
        url, tmp_path, admin_password=ADMIN_PASSWORD, metrics_token=METRICS_TOKEN, smtp_password=SMTP_PASSWORD
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METRICS_TOKEN", "short-secret")
    monkeypatch.setenv("ENCRYPTION_KEY", "broken-key-do-not-tell")
    monkeypatch.setenv("DATABASE_URL", "mysql://user:url-password-do-not-tell@127.0.0.1/licenses")
    with pytest.raises(SettingsError) as refused:
        load_settings()

    told = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {refused.value} {refused!r}"
    hidden = [ADMIN_PASSWORD, METRICS_TOKEN, SMTP_PASSWORD, ENCRYPTION_KEY, str(urlsplit(url).password)]
    assert [secret for secret in (*hidden, "short-secret", "broken-key-do-not-tell") if secret in told] == []
    assert {name for name in ("METRICS_TOKEN", "ENCRYPTION_KEY", "DATABASE_URL") if name in str(refused.value)}
    assert isinstance(settings, Settings)
