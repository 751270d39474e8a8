"""People come in by mail, on a real server with a real mail server; of two servers one makes the first operator."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tests.acceptance.conftest import database_settings
from tests.live import LiveServer, free_port, wait_until
from tests.mail_server import MailServer

pytestmark = pytest.mark.acceptance

EMAIL = "anna@acme.example"
PASSWORD = "three blue boats at dawn"


def test_an_invitation_arrives_after_an_outage_and_lets_its_reader_in(stopped_server: LiveServer) -> None:
    server = stopped_server
    with MailServer() as mail_server:
        server.environment |= {name.upper(): str(value) for name, value in mail_server.settings.items()}
        server.environment |= {"PUBLIC_URL": "https://licenses.example"}
        server.start()
        server.wait_until_ready()

        mail_server.stop()
        invited = server.json("users", "invite", "--email", EMAIL, "--role", "OPERATOR")
        server.wait_until_said("mail_put_off")
        mail_server.start()
        wait_until(lambda: mail_server.texts_to(EMAIL) != [], "the mail arrives")

        token = mail_server.token_to(EMAIL)
        body = {"token": token, "name": "Anna", "password": PASSWORD}
        accepted = server.client.post("/api/auth/accept-invitation", json=body, headers={"Host": "evil.example"})
        signed_in = server.client.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})

    assert invited["token"] is None
    assert (accepted.status_code, signed_in.status_code) == (201, 200)
    assert signed_in.json()["user"]["role"] == "OPERATOR"
    assert len(mail_server.messages) == 1
    assert token not in server.stdout_path.read_text() + server.stderr()
    assert EMAIL not in server.stdout_path.read_text()


def test_of_two_servers_that_start_at_once_on_one_database_one_makes_the_first_operator(
    fresh_database: str, tmp_path: Path
) -> None:
    servers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        servers.append(LiveServer(tmp_path / name, database_settings(fresh_database), free_port()))
    try:
        for server in servers:
            server.start()
        for server in servers:
            server.wait_until_ready()
    finally:
        for server in servers:
            server.__exit__(None, None, None)

    assert "".join(server.stderr() for server in servers).count("with password") == 1
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)
