"""Neighbours: whether mail server, shared store and identity provider can be reached, where they are set."""

from __future__ import annotations

import asyncio
from datetime import datetime

from valkey.exceptions import ValkeyError

from app.domain.findings import Finding, Level
from app.identity_provider import ProviderUnavailable, open_identity_provider
from app.limiter import KEY_PREFIX, store_client
from app.mail import Mailer, MailError
from app.settings import Settings

ANSWER_SECONDS = 4.0


async def check_mail_server(settings: Settings) -> list[Finding]:
    """Whether the mail server says hello, with the encryption that is set; no mail is sent."""
    if settings.smtp_host is None:
        return []
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    try:
        await Mailer(settings, step_seconds=ANSWER_SECONDS).greet()
    except MailError as error:
        sentence = f"The mail server {where} can't be used: {str(error).rstrip('.')}."
        return [Finding("mail_server", Level.BAD, sentence, "Mend SMTP_HOST, SMTP_PORT or SMTP_TLS; mail waits.")]
    return [Finding("mail_server", Level.GOOD, f"The mail server {where} answers.")]


async def check_shared_store(settings: Settings) -> list[Finding]:
    """Whether the store of rate limits takes a write."""
    if settings.redis_url is None:
        return []
    url = settings.redis_url.get_secret_value()
    try:
        async with asyncio.timeout(ANSWER_SECONDS), store_client(url, seconds=ANSWER_SECONDS) as client:
            await client.set(f"{KEY_PREFIX}/doctor", 1, px=1000)  # a replica or a full store takes none
    except (ValkeyError, OSError, TimeoutError, ValueError, TypeError) as error:
        sentence = f"The store at REDIS_URL can't be used ({type(error).__name__}): each process counts alone."
        return [Finding("shared_store", Level.BAD, sentence, "Start it, or mend REDIS_URL.")]
    return [Finding("shared_store", Level.GOOD, "The store at REDIS_URL takes writes.")]


async def check_identity_provider(settings: Settings, *, now: datetime) -> list[Finding]:
    """Whether the identity provider says of itself what a sign-in needs."""
    provider = open_identity_provider(settings)
    if provider is None:
        return []
    try:
        await provider.look(now=now)
    except ProviderUnavailable as error:
        sentence = f"The identity provider {settings.oidc_issuer} can't be used: {error}."
        action = f"curl -sS {settings.oidc_issuer}/.well-known/openid-configuration"
        return [Finding("identity_provider", Level.BAD, sentence, action)]
    finally:
        await provider.close()
    return [Finding("identity_provider", Level.GOOD, f"The identity provider {settings.oidc_issuer} answers.")]
