"""Certificates of hosts: what they show in a real TLS handshake, as clients see it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from app.domain.certificates import Reading, Validity, judge_certificate, split_host
from app.domain.findings import Finding

HOST_SECONDS = 5.0
ALL_SECONDS = 20.0
HOSTS_AT_ONCE = 5
MAX_REASON = 200


async def check_certificates(hosts: Sequence[str], *, now: datetime, seconds: float = ALL_SECONDS) -> list[Finding]:
    """One finding for each host, in their order; within 5 s for each five hosts, and `seconds` altogether."""
    return [judge_certificate(reading, now) for reading in await read_certificates(hosts, seconds=seconds)]


async def read_certificates(hosts: Sequence[str], *, seconds: float = ALL_SECONDS) -> list[Reading]:
    """What the hosts show; those for which there was no time are told too.

    The operator chose the hosts, and no answer of theirs is shown: so unlike addresses that tenants choose they may be
    internal ones, which is what somebody who watches certificates needs.
    """
    trusting = await asyncio.to_thread(ssl.create_default_context)  # reads the system's authorities, or SSL_CERT_FILE
    turns = asyncio.Semaphore(HOSTS_AT_ONCE)
    tasks = {host: asyncio.create_task(_read_in_turn(host, trusting, turns)) for host in dict.fromkeys(hosts)}
    if tasks:
        _, late = await asyncio.wait(tasks.values(), timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return [
        Reading(host, failure=f"there was no time left after {seconds:.0f} s") if task.cancelled() else task.result()
        for host, task in tasks.items()
    ]


async def _read_in_turn(host: str, trusting: ssl.SSLContext, turns: asyncio.Semaphore) -> Reading:
    async with turns:
        try:
            async with asyncio.timeout(HOST_SECONDS):
                return await _read(host, trusting)
        except TimeoutError:
            return Reading(host, failure=f"no answer within {HOST_SECONDS:.0f} s")
        except (OSError, ValueError, EOFError) as error:
            return Reading(host, failure=_reason(error))


async def _read(host: str, trusting: ssl.SSLContext) -> Reading:
    try:
        return Reading(host, _validity(await _shake_hands(host, trusting)))
    except ssl.SSLCertVerificationError as error:
        distrust = error.verify_message.rstrip(".")
    any_certificate = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    any_certificate.check_hostname = False
    any_certificate.verify_mode = ssl.CERT_NONE  # nothing is sent: only the dates of what is refused are wanted
    return Reading(host, _validity(await _shake_hands(host, any_certificate)), distrust)


async def _shake_hands(host: str, context: ssl.SSLContext) -> bytes:
    """The certificate of the other side, in DER."""
    name, port = split_host(host)
    _, writer = await asyncio.open_connection(name, port, ssl=context, server_hostname=name)
    try:
        shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()  # a polite end of TLS waits for the other side
    if shown is None:
        raise EOFError("it showed none")
    return shown


def _validity(der: bytes) -> Validity:
    certificate = x509.load_der_x509_certificate(der)
    issuer = certificate.issuer.rfc4514_string()[:MAX_REASON]
    return Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc, issuer)


def _reason(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(said.split())[:MAX_REASON] or type(error).__name__
