"""Signing in at an identity provider: what it has signed for us, now, in this browser, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey, RSAKey

from app.domain.permissions import Role
from tests.conftest import Clock, make_client, make_settings, running_app
from tests.web.identity_provider import CLIENT_ID, CLIENT_SECRET, Provider, running_provider
from tests.web.logs import LogLines
from tests.web.people import PASSWORD, make_operator, make_user, session, set_up_device
from tests.web.problem import read_problem

PUBLIC_URL = "https://licenses.example/portal"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
async def oidc_app(fresh_database: str, tmp_path: Path, clock: Clock, provider: Provider) -> AsyncIterator[FastAPI]:
    clock.now = datetime.now(UTC)
    async with running_app(_settings(fresh_database, tmp_path, provider), clock) as app:
        yield app


@pytest.fixture
async def browser(oidc_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    await make_operator(oidc_app)
    async with make_client(oidc_app) as client:
        yield client


def _settings(database_url: str, data_dir: Path, provider: Provider, **others: object) -> Any:
    given = {
        "public_url": PUBLIC_URL,
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "outbound_allowed_networks": "127.0.0.0/8",
    }
    return make_settings(database_url, data_dir, **{**given, **others})


async def _begin(browser: httpx.AsyncClient) -> tuple[str, str]:
    """Where the browser is sent, and its cookie."""
    response = await browser.get("/api/auth/oidc/login")
    assert response.status_code == 302, response.text
    return response.headers["location"], response.headers["set-cookie"]


async def _come_back(browser: httpx.AsyncClient, query: dict[str, str], cookie: str) -> httpx.Response:
    headers = {"Cookie": cookie.partition(";")[0]}
    return await browser.get("/api/auth/oidc/callback", params=query, headers=headers)


async def _sign_in(browser: httpx.AsyncClient, provider: Provider) -> httpx.Response:
    location, cookie = await _begin(browser)
    return await _come_back(browser, provider.authorize(location), cookie)


def _bearer(response: httpx.Response) -> dict[str, str]:
    assert response.status_code == 200, response.text
    return {"Authorization": f"Bearer {response.json()['token']}"}


async def test_somebody_whom_the_provider_knows_signs_in(
    browser: httpx.AsyncClient, provider: Provider, fresh_database: str
) -> None:
    response = await _sign_in(browser, provider)

    assert set(response.json()) == {"token", "expiresAt", "user", "organization"}
    assert (await browser.get("/api/licenses", headers=_bearer(response))).status_code == 200
    assert response.headers["set-cookie"].startswith('license_server_sign_in=""; expires=')
    with psycopg.connect(fresh_database) as connection:
        linked = connection.execute("SELECT issuer, subject FROM identities").fetchall()
        [event] = connection.execute("SELECT data FROM audit_events WHERE event = 'identity.linked'").fetchall()
    assert linked == [(provider.issuer, "subject-1")]
    assert event[0] == {"issuer": provider.issuer, "subject": "subject-1"}


async def test_the_browser_is_sent_to_the_provider_with_our_own_address_to_come_back_to(
    browser: httpx.AsyncClient, provider: Provider
) -> None:
    response = await browser.get("/api/auth/oidc/login", headers={"Host": "evil.example", "X-Forwarded-Host": "evil"})

    asked = parse_qs(urlsplit(response.headers["location"]).query)
    assert asked["redirect_uri"] == ["https://licenses.example/portal/api/auth/oidc/callback"]
    assert "evil" not in str(response.headers)
    cookie = response.headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Max-Age=600", "Path=/portal/api/auth/oidc"):
        assert part in cookie
    assert asked["state"][0] not in cookie
    assert len(asked["nonce"][0]) >= 43


async def test_a_link_stays_when_the_email_address_changes_there(
    browser: httpx.AsyncClient, provider: Provider
) -> None:
    first = await _sign_in(browser, provider)
    provider.claims = {"sub": "subject-1", "email": "renamed@acme.example"}

    assert (await _sign_in(browser, provider)).json()["user"] == first.json()["user"]


async def test_a_recycled_email_address_does_not_inherit_the_account(
    browser: httpx.AsyncClient, provider: Provider
) -> None:
    await _sign_in(browser, provider)
    provider.claims = {**provider.claims, "sub": "subject-2"}

    read_problem(await _sign_in(browser, provider), 403, "NO_ACCOUNT_FOR_IDENTITY")


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "stranger@acme.example"},
        *({"email_verified": verified} for verified in (False, "true", None)),
        {"email": "mi\N{KELVIN SIGN}e@acme.example"},
        {"email": None},
    ],
)
async def test_nobody_is_let_in_without_an_account_of_a_verified_address(
    browser: httpx.AsyncClient, provider: Provider, claims: dict[str, Any], log_lines: LogLines, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET email = 'mike@acme.example'")
        provider.claims = {**provider.claims, "email": "mike@acme.example", **claims}

        read_problem(await _sign_in(browser, provider), 403, "NO_ACCOUNT_FOR_IDENTITY")

        assert [line["message"] for line in log_lines.read() if line["event"] == "authn_login_fail"] == [
            "Failed login attempt"
        ]
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)


async def test_a_disabled_account_is_like_none(
    browser: httpx.AsyncClient, provider: Provider, fresh_database: str
) -> None:
    await _sign_in(browser, provider)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET disabled_at = now()")

    read_problem(await _sign_in(browser, provider), 403, "NO_ACCOUNT_FOR_IDENTITY")


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-client"},
        {"aud": [CLIENT_ID, "another-client"]},
        {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
        {"azp": "another-client"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"exp": None},
        {"exp": int((datetime.now(UTC) - timedelta(minutes=2)).timestamp())},
        {"exp": "never"},
        {"iat": None},
        {"iat": int((datetime.now(UTC) + timedelta(hours=1)).timestamp())},
        *({"sub": subject} for subject in (None, "", "a\0b", 7)),
    ],
)
async def test_a_token_for_others_of_others_or_of_another_time_proves_nothing(
    browser: httpx.AsyncClient, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = {**provider.claims, **claims}

    read_problem(await _sign_in(browser, provider), 401, "IDENTITY_REFUSED")


@pytest.mark.parametrize("alg", ["none", "HS256"])
async def test_a_token_without_a_signature_of_the_provider_proves_nothing(
    browser: httpx.AsyncClient, provider: Provider, alg: str
) -> None:
    provider.header = {**provider.header, "alg": alg}

    read_problem(await _sign_in(browser, provider), 401, "IDENTITY_REFUSED")


async def test_a_token_of_somebody_elses_key_proves_nothing(browser: httpx.AsyncClient, provider: Provider) -> None:
    provider.key = RSAKey.generate_key(2048, {"kid": "first"})

    read_problem(await _sign_in(browser, provider), 401, "IDENTITY_REFUSED")


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "eyJhbGciOlsicyJdfQ.e30.", "e30.e30.e30", base64.b64encode(b"[" * 9000).decode() + ".e30.x"],
)
async def test_a_token_that_is_none_proves_nothing(browser: httpx.AsyncClient, provider: Provider, token: str) -> None:
    provider.forged = token or "."

    read_problem(await _sign_in(browser, provider), 401, "IDENTITY_REFUSED")


async def test_a_new_key_of_the_provider_is_asked_for_at_most_once_a_minute(
    browser: httpx.AsyncClient, provider: Provider, clock: Clock
) -> None:
    await _sign_in(browser, provider)
    clock.forward(seconds=61)
    provider.rotate_key(ECKey.generate_key("P-256", {"kid": "second"}), "ES256")
    rotated = await _sign_in(browser, provider)
    provider.header = {"alg": "ES256", "kid": "unknown"}
    unknown = [await _sign_in(browser, provider) for _ in range(3)]

    assert rotated.status_code == 200
    for response in unknown:
        read_problem(response, 401, "IDENTITY_REFUSED")
    assert provider.paths.count("/keys") == 2
    assert provider.paths.count("/.well-known/openid-configuration") == 1


async def test_only_the_browser_that_began_comes_back(
    browser: httpx.AsyncClient, provider: Provider, log_lines: LogLines
) -> None:
    location, cookie = await _begin(browser)
    other_location, other_cookie = await _begin(browser)
    back = provider.authorize(location)

    refused = [
        await _come_back(browser, back, other_cookie),
        await _come_back(browser, back, "nothing=here"),
        await _come_back(browser, back, "license_server_sign_in=forged"),
        await _come_back(browser, {**back, "state": ""}, cookie),
        await _come_back(browser, {"error": "access_denied", "state": back["state"]}, cookie),
        await _come_back(browser, provider.authorize(other_location), cookie),
    ]

    for response in refused:
        read_problem(response, 401, "IDENTITY_REFUSED")
    assert back["code"] not in log_lines.text()
    assert (await _come_back(browser, back, cookie)).status_code == 200


async def test_what_came_back_once_is_not_taken_again(browser: httpx.AsyncClient, provider: Provider) -> None:
    location, cookie = await _begin(browser)
    back = provider.authorize(location)

    first, second = await _come_back(browser, back, cookie), await _come_back(browser, back, cookie)

    assert first.status_code == 200
    read_problem(second, 401, "IDENTITY_REFUSED")


async def test_a_sign_in_takes_at_most_ten_minutes(
    browser: httpx.AsyncClient, provider: Provider, clock: Clock
) -> None:
    location, cookie = await _begin(browser)
    clock.forward(minutes=10)

    read_problem(await _come_back(browser, provider.authorize(location), cookie), 401, "IDENTITY_REFUSED")


async def test_what_was_sealed_for_something_else_is_no_attempt(
    browser: httpx.AsyncClient, provider: Provider, oidc_app: FastAPI
) -> None:
    location, _ = await _begin(browser)
    back = provider.authorize(location)
    vault = oidc_app.state.runtime.vault

    for text in ("A" * 20, json.dumps({"attempt": [back["state"], "x", "x"], "endsAt": 9e12}), "[]"):
        cookie = f"license_server_sign_in={vault.encrypt(text).decode()}"
        read_problem(await _come_back(browser, back, cookie), 401, "IDENTITY_REFUSED")


async def test_a_provider_that_is_away_is_told_and_nothing_else_suffers(
    fresh_database: str, tmp_path: Path, clock: Clock, log_lines: LogLines
) -> None:
    with running_provider() as gone:
        pass
    async with running_app(_settings(fresh_database, tmp_path, gone), clock) as app, make_client(app) as browser:
        response = await browser.get("/api/auth/oidc/login")
        await make_operator(app)
        await session(browser)

    read_problem(response, 503, "IDENTITY_PROVIDER_UNAVAILABLE")
    assert response.headers["retry-after"] == "5"
    assert [line["level"] for line in log_lines.read() if line["event"] == "identity_provider_outage"] == ["WARN"]


async def test_a_provider_that_hangs_is_given_up_in_time(browser: httpx.AsyncClient, provider: Provider) -> None:
    location, cookie = await _begin(browser)
    back = provider.authorize(location)
    provider.hangs.set()

    response = await _come_back(browser, back, cookie)

    read_problem(response, 503, "IDENTITY_PROVIDER_UNAVAILABLE")
    assert response.elapsed < timedelta(seconds=10)


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_provider_that_says_nonsense_of_itself_is_not_used(
    browser: httpx.AsyncClient, provider: Provider, discovery: dict[str, Any]
) -> None:
    provider.discovery = discovery

    read_problem(await browser.get("/api/auth/oidc/login"), 503, "IDENTITY_PROVIDER_UNAVAILABLE")


async def test_a_provider_on_a_private_address_is_not_called_unless_that_is_allowed(
    fresh_database: str, tmp_path: Path, clock: Clock, provider: Provider
) -> None:
    settings = _settings(fresh_database, tmp_path, provider, outbound_allowed_networks="10.0.0.0/8")
    async with running_app(settings, clock) as app, make_client(app) as browser:
        read_problem(await browser.get("/api/auth/oidc/login"), 503, "IDENTITY_PROVIDER_UNAVAILABLE")

    assert provider.paths == []


async def test_a_provider_that_is_not_set_is_not_found(refused_client: httpx.AsyncClient) -> None:
    for path in ("login", "callback"):
        response = await refused_client.get(f"/api/auth/oidc/{path}")
        read_problem(response, 404, "IDENTITY_PROVIDER_NOT_CONFIGURED")


async def test_whoever_has_a_second_factor_shows_it_before_anything_else(
    browser: httpx.AsyncClient, provider: Provider, clock: Clock
) -> None:
    device = await set_up_device(browser, await session(browser), clock)
    headers = _bearer(await _sign_in(browser, provider))

    refused = [
        await browser.get("/api/licenses", headers=headers),
        await browser.post("/api/auth/second-factor", headers=headers),
        await browser.delete("/api/auth/second-factor", headers=headers),
        await browser.get("/api/auth/sessions", headers=headers),
    ]
    by_password = await browser.post("/api/auth/step-up", json={"password": PASSWORD}, headers=headers)
    refused.append(await browser.get("/api/licenses", headers=headers))
    by_code = await browser.post("/api/auth/step-up", json={"code": device.next_code()}, headers=headers)

    for response in refused:
        read_problem(response, 403, "SECOND_FACTOR_MISSING")
    assert (by_password.status_code, by_code.status_code) == (200, 200)
    assert (await browser.get("/api/licenses", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("amr", "status"), [(["pwd", "mfa"], 200), (["otp"], 200), (["pwd"], 403), ("mfa", 403), ([7], 403), (None, 403)]
)
async def test_a_second_factor_that_the_provider_asked_for_counts(
    fresh_database: str, tmp_path: Path, clock: Clock, provider: Provider, amr: object, status: int
) -> None:
    clock.now = datetime.now(UTC)
    provider.claims = {**provider.claims, "amr": amr}
    settings = _settings(fresh_database, tmp_path, provider, operator_second_factor_required=True)
    async with running_app(settings, clock) as app, make_client(app) as browser:
        await make_operator(app)
        headers = _bearer(await _sign_in(browser, provider))

        assert (await browser.get("/api/licenses", headers=headers)).status_code == status


async def test_a_new_sign_in_is_the_step_up_of_who_has_no_password(
    browser: httpx.AsyncClient, provider: Provider, oidc_app: FastAPI, clock: Clock, fresh_database: str
) -> None:
    await make_user(oidc_app, Role.OPERATOR, email="sso@acme.example")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE users SET password_hash = NULL WHERE email = 'sso@acme.example'")
    provider.claims = {"sub": "sso", "email": "SSO@acme.example", "email_verified": True}
    headers = _bearer(await _sign_in(browser, provider))
    login = await browser.post("/api/auth/login", json={"email": "sso@acme.example", "password": "x"})
    step_up = await browser.post("/api/auth/step-up", json={"password": "x"}, headers=headers)

    read_problem(login, 401, "INVALID_CREDENTIALS")
    read_problem(step_up, 403, "STEP_UP_FAILED")
    assert (await browser.post("/api/auth/second-factor", headers=headers)).status_code == 201
