"""Who asks too often is told to wait, and nobody else is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import Request

from app.domain.errors import RateLimited
from app.domain.permissions import Permission
from app.runtime import Runtime
from app.services import authentication
from app.services.authentication import Origin
from app.settings import RateLimitPolicy
from app.telemetry import metrics
from app.web import rate_limits
from tests.conftest import make_api_key, make_client
from tests.factories.http import issue_license
from tests.valkey import LiveValkey
from tests.web.limits import UNKNOWN, VALIDATE, Server, limited, statuses, try_password, validate
from tests.web.logs import LogLines
from tests.web.people import EMAIL, PASSWORD, make_operator
from tests.web.problem import read_problem


async def test_the_validation_after_the_last_one_is_refused_and_says_when_to_come_again(server: Server) -> None:
    async with server(validate="2/hour", validate_key="9/minute") as app, make_client(app) as client:
        first, second, third = [await validate(client) for _ in range(3)]

    assert [first.status_code, second.status_code] == [200, 200]
    assert first.headers["ratelimit-policy"] == '"validate";q=2;w=3600, "validate_key";q=9;w=60'
    assert re.fullmatch(r'"validate";r=1;t=3(600|5\d\d), "validate_key";r=8;t=(60|5\d)', first.headers["ratelimit"])
    limited(third)
    assert int(third.headers["retry-after"]) > 3500
    assert third.headers["ratelimit-policy"] == '"validate";q=2;w=3600'
    assert re.fullmatch(r'"validate";r=0;t=3(600|5\d\d)', third.headers["ratelimit"])


async def test_every_address_has_a_budget_of_its_own_and_an_ipv6_site_one_together(server: Server) -> None:
    async with server(validate="1/hour") as app:
        found = []
        for ip in ("192.0.2.1", "192.0.2.2", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"):
            async with make_client(app, ip=ip) as client:
                found.append((await validate(client)).status_code)

    assert found == [200, 200, 200, 429, 200]


async def test_what_a_client_claims_about_its_address_counts_behind_a_trusted_proxy_alone(server: Server) -> None:
    async with server(validate="1/hour", trusted_proxies="10.0.0.0/8") as app:
        found = []
        for ip, claimed in [
            ("192.0.2.7", "198.51.100.1"),
            ("192.0.2.7", "198.51.100.2"),
            ("10.0.0.1", "203.0.113.1"),
            ("10.0.0.1", "203.0.113.2"),
            ("10.0.0.1", "8.8.8.8, 203.0.113.2"),
        ]:
            async with make_client(app, ip=ip) as client:
                answer = await client.post(VALIDATE, json=UNKNOWN, headers={"X-Forwarded-For": claimed})
                found.append(answer.status_code)

    assert found == [200, 429, 200, 200, 429]


async def test_one_license_key_is_limited_from_all_addresses_together(server: Server) -> None:
    async with (
        server(validate_key="2/hour") as app,
        make_client(app, ip="192.0.2.1") as one,
        make_client(app, ip="192.0.2.2") as other,
    ):
        found = [(await validate(client)).status_code for client in (one, other, one, other)]
        another_key = (await validate(one, "ZZZZ-BBBB-CCCC-DDDD-EEEE")).status_code

    assert (found, another_key) == ([200, 200, 429, 429], 200)


async def test_validations_that_cannot_be_read_are_charged_too(server: Server) -> None:
    async with server(validate="2/hour") as app, make_client(app) as client:
        broken = await client.post(VALIDATE, content=b"{", headers={"Content-Type": "application/json"})
        wrong = await client.post(VALIDATE, json={"licenseKey": 5})
        over = await client.post(VALIDATE, content=b"{", headers={"Content-Type": "application/json"})

    assert (broken.status_code, wrong.status_code) == (400, 422)
    limited(over)


async def test_ten_thousand_wrong_license_keys_slow_the_guesser_alone(server: Server, log_lines: LogLines) -> None:
    async with server(guess="60/hour") as app:
        secret = await make_api_key(app, frozenset(Permission))
        async with make_client(app, secret) as api:
            behind_the_same_nat = (await issue_license(api))["licenseKey"]
            elsewhere = (await issue_license(api))["licenseKey"]
        async with (
            make_client(app) as guesser,
            make_client(app) as neighbour,
            make_client(app, ip="192.0.2.9") as other,
        ):
            assert (await validate(neighbour, behind_the_same_nat)).json()["code"] == "VALID"
            guessed = []
            for hundred in range(100):
                keys = [f"WRNG-{hundred:04}-{number:04}" for number in range(100)]
                guessed += await statuses(*(validate(guesser, key) for key in keys))
                assert (await validate(neighbour, behind_the_same_nat)).json()["code"] == "VALID"
                assert (await validate(other, elsewhere)).json()["code"] == "VALID"
            assert (await validate(other)).json()["code"] == "NOT_FOUND"

    passed = guessed.count(200)
    assert 60 <= passed <= 160
    assert guessed.count(429) == 10_000 - passed
    assert guessed[200:] == [429] * 9_800
    lines = [line for line in log_lines.read() if line["event"] == "excess_rate_limit_exceeded"]
    assert len(lines) == 10_000 - passed
    assert {(line["message"], line["policy"], line["ip"]) for line in lines} == {
        ("Rate limit exceeded", "guess", "192.0.2.7")
    }


async def test_every_refusal_is_counted_by_policy(server: Server) -> None:
    counter = metrics.rate_limit_exceeded.labels("validate")
    async with server(validate="1/hour") as app, make_client(app) as client:
        before = counter._value.get()
        await statuses(*(validate(client) for _ in range(4)))

    assert counter._value.get() - before == 3


async def test_in_shadow_mode_refusals_are_told_and_nobody_is_refused(server: Server, log_lines: LogLines) -> None:
    shadowed = {"validate": "1/hour", "guess": "1/hour", "login": "1/hour", "anonymous": "1/hour", "api": "1/hour"}
    async with server(rate_limit_shadow=True, **shadowed) as app:
        await make_operator(app)
        async with make_client(app) as client:
            answers = [await validate(client) for _ in range(3)]
            found = await statuses(*(try_password(client) for _ in range(3)), *(client.get("/none") for _ in range(2)))
            token = (await try_password(client, PASSWORD)).json()["token"]
            bearer = {"Authorization": f"Bearer {token}"}
            found += await statuses(*(client.get("/api/licenses", headers=bearer) for _ in range(2)))

    assert [answer.status_code for answer in answers] == [200] * 3
    assert "ratelimit" not in answers[0].headers
    assert found == [401, 401, 401, 404, 404, 200, 200]
    told = [line for line in log_lines.read() if line["message"] == "Rate limit exceeded"]
    assert {line["policy"] for line in told} == {"validate", "guess", "login", "anonymous", "api"}
    assert {line["shadow"] for line in told} == {True}
    assert [line["policy"] for line in told].count("validate") == 2


async def test_probes_and_metrics_are_never_limited(server: Server) -> None:
    async with server(anonymous="1/hour") as app, make_client(app) as client:
        found = [
            (await client.request(method, path)).status_code
            for path in ("/health", "/livez", "/readyz", "/metrics")
            for method in ("GET", "GET", "HEAD")
        ]

    assert found == [200, 200, 200] * 3 + [200, 200, 405]


async def test_requests_without_a_credential_share_the_budget_of_their_address(server: Server) -> None:
    async with server(anonymous="4/hour") as app, make_client(app) as client:
        answers = [await client.get(path) for path in ("/none", "/openapi.json", "/api/licenses", "/none", "/none")]
        async with make_client(app, ip="192.0.2.9") as other:
            assert (await other.get("/none")).status_code == 404

    assert [answer.status_code for answer in answers[:4]] == [404, 200, 401, 404]
    assert answers[0].headers["ratelimit-policy"] == '"anonymous";q=4;w=3600'
    limited(answers[4])


async def test_made_up_credentials_are_charged_to_their_address_and_then_not_even_looked_up(server: Server) -> None:
    async with server(anonymous="3/hour") as app:
        secret = await make_api_key(app, frozenset(Permission))
        async with make_client(app, secret) as known, make_client(app, "itsk_made_up") as guesser:
            assert (await known.get("/api/licenses")).status_code == 200
            found = [(await guesser.get("/api/licenses")).status_code for _ in range(4)]
            still = (await known.get("/api/licenses")).status_code
            unknown_route = (await guesser.get("/none")).status_code

    assert (found, still, unknown_route) == ([401, 401, 401, 429], 200, 429)


async def test_good_credentials_cost_their_address_nothing(server: Server) -> None:
    async with server(anonymous="1/hour") as app:
        for _ in range(3):
            async with make_client(app, await make_api_key(app, frozenset(Permission))) as known:
                assert (await known.get("/api/licenses")).status_code == 200
        async with make_client(app) as stranger:
            assert (await stranger.get("/none")).status_code == 404


async def test_a_good_credential_does_not_pay_where_nobody_asks_for_one(server: Server) -> None:
    async with server(anonymous="2/minute") as app:
        client = make_client(app, await make_api_key(app, frozenset()))
        assert (await client.get("/api/auth/me")).status_code == 200
        wish = {"token": "itsp_guessed", "password": "seven green hills at noon"}
        answers = [await client.post("/api/auth/reset-password", json=wish) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [422, 422, 429]
        limited(await client.get("/api/auth/oidc/login"))
        assert (await client.get("/api/auth/me")).status_code == 200


async def test_a_credential_that_was_good_once_is_charged_when_it_is_good_no_more(server: Server) -> None:
    async with server(anonymous="2/hour", api="9/hour") as app:
        await make_operator(app)
        async with make_client(app) as client:
            token = (await try_password(client, PASSWORD)).json()["token"]
            bearer = {"Authorization": f"Bearer {token}"}
            assert (await client.post("/api/auth/logout", headers=bearer)).status_code == 204
            found = [(await client.get("/api/licenses", headers=bearer)).status_code for _ in range(3)]

    assert found == [401, 401, 429]


async def test_each_api_key_has_a_budget_of_its_own(server: Server) -> None:
    async with server(api="2/hour") as app:
        secrets = [await make_api_key(app, frozenset(Permission)) for _ in range(2)]
        async with make_client(app, secrets[0]) as one, make_client(app, secrets[1]) as other:
            answers = [await one.get("/api/licenses") for _ in range(3)]
            assert (await other.get("/api/licenses")).status_code == 200

    assert answers[0].headers["ratelimit-policy"] == '"api";q=2;w=3600'
    assert [answer.status_code for answer in answers] == [200, 200, 429]


async def test_all_sessions_of_a_user_share_one_budget(server: Server) -> None:
    async with server(api="3/hour") as app:
        await make_operator(app)
        async with make_client(app) as client:
            tokens = [(await try_password(client, PASSWORD)).json()["token"] for _ in range(2)]
            found = [
                (await client.get("/api/licenses", headers={"Authorization": f"Bearer {token}"})).status_code
                for token in tokens * 2
            ]

    assert found == [200, 200, 200, 429]


async def test_administration_is_charged_instead_of_the_api(server: Server) -> None:
    async with server(api="1/hour", admin="2/hour") as app:
        runtime: Runtime = app.state.runtime
        secret = await make_api_key(app, frozenset(Permission))
        async with runtime.database.transaction() as tx:
            caller = await authentication.identify(tx, secret, Origin(), now=runtime.now())
        assert caller is not None
        scopes: list[dict[str, Any]] = [{"path": "/admin/runs", "client": None} for _ in range(3)]
        for scope in scopes[:2]:
            await rate_limits.charge_caller(scope, runtime.limiter, caller, secret)
        with pytest.raises(RateLimited):
            await rate_limits.charge_caller(scopes[2], runtime.limiter, caller, secret)
        async with make_client(app, secret) as client:
            assert (await client.get("/api/licenses")).status_code == 200

    assert rate_limits.headers(scopes[0])[0] == (b"ratelimit-policy", b'"admin";q=2;w=3600')


async def register(request: Request) -> str:
    """A route that strangers may ask only now and then."""
    await rate_limits.charge(request, RateLimitPolicy.REGISTRATION)
    return "registered"


async def test_a_route_can_charge_a_policy_of_its_own(server: Server) -> None:
    async with server(registration="1/hour", anonymous="9/hour") as app, make_client(app) as client:
        app.add_api_route("/api/test/register", register, methods=["POST"])
        first, second = [await client.post("/api/test/register") for _ in range(2)]

    assert first.headers["ratelimit-policy"] == '"anonymous";q=9;w=3600, "registration";q=1;w=3600'
    limited(second)


async def test_a_page_of_another_origin_can_read_the_refusal_and_its_limits(server: Server) -> None:
    origin = {"Origin": "https://console.example.com"}
    async with server(validate="1/hour", cors_origin=(origin["Origin"],)) as app, make_client(app) as client:
        await validate(client)
        refused = await client.post(VALIDATE, json=UNKNOWN, headers=origin)

    limited(refused)
    assert refused.headers["access-control-allow-origin"] == origin["Origin"]
    exposed = {name.strip() for name in refused.headers["access-control-expose-headers"].split(",")}
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} <= exposed


async def test_while_the_store_is_away_a_closed_policy_refuses_and_an_open_one_lets_pass(
    server: Server, valkey: LiveValkey
) -> None:
    rules = "closed,validate=open,validate_key=open,guess=open"
    given = {"validate": "1/hour", "anonymous": "9/hour", "redis_url": valkey.url, "rate_limit_store_away": rules}
    async with server(**given) as app, make_client(app) as client:
        valkey.stop()
        validations = [await validate(client) for _ in range(3)]
        other = await client.get("/none")

    assert [answer.status_code for answer in validations] == [200] * 3
    assert "ratelimit" not in validations[0].headers
    read_problem(other, 503, "RATE_LIMIT_STORE_UNAVAILABLE")
    assert other.headers["retry-after"] == "1"


async def test_a_shared_store_gives_the_same_answers(server: Server, valkey: LiveValkey) -> None:
    async with (
        server(validate="2/hour", login_address="2/hour", redis_url=valkey.url) as app,
        make_client(app) as client,
    ):
        await make_operator(app)
        answers = [await validate(client) for _ in range(3)]
        found = [(await try_password(client, password)).status_code for password in ("no", PASSWORD, "no", PASSWORD)]
        keys = b" ".join(valkey.keys()).decode()

    assert answers[0].headers["ratelimit-policy"] == '"validate";q=2;w=3600'
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert found == [401, 200, 401, 429]
    assert EMAIL not in keys
