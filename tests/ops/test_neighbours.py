"""The doctor's look at mail server, shared store and identity provider: real ones, there and away."""

from __future__ import annotations

from datetime import UTC, datetime

from app.domain.findings import Level
from app.ops.neighbours import check_identity_provider, check_mail_server, check_shared_store
from app.settings import Settings
from tests.live import free_port
from tests.mail_server import MailServer
from tests.tls_host import tls_host
from tests.valkey import LiveValkey
from tests.web.identity_provider import CLIENT_ID, CLIENT_SECRET, running_provider


def settings_with(**given: object) -> Settings:
    return Settings.model_validate(given)


async def test_neighbours_that_are_not_set_are_not_asked_for() -> None:
    settings = settings_with()

    assert await check_mail_server(settings) == []
    assert await check_shared_store(settings) == []
    assert await check_identity_provider(settings, now=datetime.now(UTC)) == []


async def test_a_mail_server_is_greeted_and_gets_no_mail(mail_server: MailServer) -> None:
    [there] = await check_mail_server(settings_with(**mail_server.settings))
    taken = len(mail_server.messages)
    mail_server.stop()
    [away] = await check_mail_server(settings_with(**mail_server.settings))

    assert (there.level, taken, away.level) == (Level.GOOD, 0, Level.BAD)
    assert f"127.0.0.1:{mail_server.port} can't be used" in away.sentence


async def test_a_mail_server_that_says_nothing_is_given_up() -> None:
    with tls_host(None) as silent:
        host, _, port = silent.partition(":")
        [finding] = await check_mail_server(settings_with(smtp_host=host, smtp_port=port, smtp_tls="none"))

    assert finding.level is Level.BAD


async def test_a_shared_store_must_take_writes(valkey: LiveValkey) -> None:
    [there] = await check_shared_store(settings_with(redis_url=valkey.url))
    valkey.stop()
    [away] = await check_shared_store(settings_with(redis_url=valkey.url.replace("//", "//:geheim@")))

    assert (there.level, away.level) == (Level.GOOD, Level.BAD)
    assert "geheim" not in str(away)


async def test_an_identity_provider_must_say_what_a_sign_in_needs() -> None:
    with running_provider() as provider:
        oidc = {
            "oidc_issuer": provider.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
            "public_url": "https://licenses.example",
            "outbound_allowed_networks": ("127.0.0.0/8",),
        }
        [there] = await check_identity_provider(settings_with(**oidc), now=datetime.now(UTC))
        oidc["oidc_issuer"] = f"http://127.0.0.1:{free_port()}"
        [away] = await check_identity_provider(settings_with(**oidc), now=datetime.now(UTC))

    assert (there.level, away.level) == (Level.GOOD, Level.BAD)
