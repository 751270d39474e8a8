"""Waiting mail leaves once, whoever sends it; an outage of the mail server loses none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.db.models import OutgoingMail
from app.domain.mails import Mail
from app.jobs.mail import send_mail
from app.runtime import Runtime, open_runtime
from app.services import outgoing_mails
from tests.conftest import Clock, make_settings
from tests.mail_server import MailServer
from tests.web.logs import LogLines

TO = "anna@acme.example"
MAIL = Mail(TO, "Hello", "your code is\n\nitsi_0123456789012345678901234567890123456789012\n")


@pytest.fixture
async def runtime(fresh_database: str, tmp_path: Path, clock: Clock, mail_server: MailServer) -> AsyncIterator[Runtime]:
    settings = make_settings(fresh_database, tmp_path, **mail_server.settings)
    async with open_runtime(settings, fresh_database, clock=clock) as opened:
        yield opened


async def put(runtime: Runtime, mail: Mail = MAIL) -> None:
    assert runtime.postbox is not None
    async with runtime.database.transaction() as tx:
        await runtime.postbox.put(tx, mail, expires_at=runtime.now() + timedelta(hours=1), now=runtime.now())


async def count_waiting(runtime: Runtime) -> int:
    async with runtime.database.transaction() as tx:
        return await tx.scalar(select(func.count()).select_from(OutgoingMail)) or 0


async def test_a_waiting_mail_is_sent_and_forgotten(runtime: Runtime, mail_server: MailServer) -> None:
    await put(runtime)

    await send_mail(runtime)

    assert mail_server.texts_to(TO) == [MAIL.text]
    assert await count_waiting(runtime) == 0


async def test_a_waiting_mail_is_encrypted(runtime: Runtime) -> None:
    await put(runtime)

    async with runtime.database.transaction() as tx:
        stored = await tx.scalar(select(OutgoingMail.message_encrypted))

    assert stored is not None
    assert b"itsi_" not in stored
    assert b"anna" not in stored


async def test_a_mail_waits_until_the_mail_server_is_back(
    runtime: Runtime, mail_server: MailServer, clock: Clock, log_lines: LogLines
) -> None:
    mail_server.stop()
    await put(runtime)
    await send_mail(runtime)
    await send_mail(runtime)
    mail_server.start()
    await send_mail(runtime)
    assert mail_server.messages == []

    clock.forward(seconds=5)
    await send_mail(runtime)

    assert mail_server.texts_to(TO) == [MAIL.text]
    [line] = [line for line in log_lines.read() if line["event"] == "mail_put_off"]
    assert line["level"] == "WARN"
    assert TO not in log_lines.text()
    assert "itsi_" not in log_lines.text()


async def test_a_mail_that_nobody_takes_in_time_is_given_up(
    runtime: Runtime, mail_server: MailServer, clock: Clock, log_lines: LogLines
) -> None:
    mail_server.refuse(TO, "451 later")
    await put(runtime)
    await send_mail(runtime)

    clock.forward(hours=1)
    await send_mail(runtime)

    assert await count_waiting(runtime) == 0
    [line] = [line for line in log_lines.read() if line["event"] == "mail_given_up"]
    assert (line["level"], line["reason"]) == ("WARN", "expired")
    assert TO not in log_lines.text()


async def test_a_mail_to_nobody_is_given_up_at_once_and_keeps_no_other_waiting(
    runtime: Runtime, mail_server: MailServer
) -> None:
    mail_server.refuse("nobody@acme.example", "550 no such person")
    await put(runtime, Mail("nobody@acme.example", "Hello", "Hello\n"))
    await put(runtime)

    await send_mail(runtime)

    assert mail_server.texts_to(TO) == [MAIL.text]
    assert await count_waiting(runtime) == 0


async def test_ten_that_send_at_once_send_each_mail_once(runtime: Runtime, mail_server: MailServer) -> None:
    for number in range(15):
        await put(runtime, Mail(TO, "Hello", f"{number}\n"))

    await asyncio.gather(*(send_mail(runtime) for _ in range(10)))

    assert sorted(mail_server.texts_to(TO), key=int) == [f"{number}\n" for number in range(15)]


async def test_a_mail_whose_sender_died_is_sent_by_another(
    runtime: Runtime, mail_server: MailServer, clock: Clock
) -> None:
    await put(runtime)
    async with runtime.database.transaction() as tx:
        assert await outgoing_mails.claim(tx, now=runtime.now()) is not None

    await send_mail(runtime)
    assert mail_server.messages == []
    clock.forward(minutes=2)
    await send_mail(runtime)

    assert len(mail_server.messages) == 1


async def test_without_a_mail_server_nothing_is_looked_for(fresh_database: str, tmp_path: Path) -> None:
    async with open_runtime(make_settings(fresh_database, tmp_path), fresh_database) as runtime:
        await send_mail(runtime)

        assert (runtime.postbox, runtime.mailer) == (None, None)
