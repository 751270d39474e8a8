"""The pages that mails link to, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.browser import CHROMIUM, Browser
from tests.live import LiveServer, wait_until

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
]

EMAIL = "anna@acme.example"
PASSWORD = "three blue boats at dawn"


@pytest.fixture
def browser() -> Iterator[Browser]:
    with Browser() as running:
        yield running


def message(browser: Browser) -> str:
    return str(browser.run("document.getElementById('message').textContent"))


def test_an_invitation_is_accepted_in_the_browser(live_server: LiveServer, browser: Browser) -> None:
    token = live_server.json("users", "invite", "--email", EMAIL, "--role", "OPERATOR")["token"]
    browser.open(f"{live_server.url}/account/accept-invitation#token={token}")
    assert browser.run("location.hash") == ""
    assert browser.run("getComputedStyle(document.body).maxWidth") != "none", "the style is loaded"

    browser.type_into("Your name", "Anna")
    browser.type_into("Password", "passwordpassword")
    browser.click("button")
    wait_until(lambda: "first that are tried" in message(browser), "the refusal is shown")
    browser.run("document.getElementById('password').value = ''")
    browser.type_into("Password", PASSWORD)
    browser.click("button")
    wait_until(lambda: "Your account is ready" in message(browser), "the success is shown")

    signed_in = live_server.client.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert signed_in.json()["user"]["name"] == "Anna"
    assert token not in live_server.stdout_path.read_text()


def test_a_code_is_typed_in_and_a_wrong_one_is_told(live_server: LiveServer, browser: Browser) -> None:
    wish = ("users", "create", "--email", EMAIL, "--name", "Anna", "--role", "OPERATOR")
    token = live_server.json(*wish)["token"]
    browser.open(f"{live_server.url}/account/reset-password")

    browser.type_into("Code from the mail", "itsp_wrong")
    browser.type_into("Password", PASSWORD)
    browser.click("button")
    wait_until(lambda: "This code is unknown" in message(browser), "the refusal is shown")
    browser.run("document.getElementById('token').value = ''")
    browser.type_into("Code from the mail", token)
    browser.click("button")
    wait_until(lambda: "Your password is set" in message(browser), "the success is shown")

    signed_in = live_server.client.post("/api/auth/login", json={"email": EMAIL, "password": PASSWORD})
    assert signed_in.status_code == 200
