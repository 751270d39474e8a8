"""Sends the mail that waits."""

from __future__ import annotations

import logging
from uuid import UUID

from app.db.models import OutgoingMail
from app.db.postbox import Postbox
from app.mail import Mailer, MailError, MailRefused
from app.runtime import Runtime
from app.services import outgoing_mails
from app.telemetry.logging import log
from app.vault import WrongKey

MOST_A_TURN = 20

logger = logging.getLogger(__name__)


async def send_mail(runtime: Runtime) -> None:
    """Send what is due, until nothing is, the mail server fails, or others should have their turn."""
    if runtime.mailer is None or runtime.postbox is None:
        return
    for _ in range(MOST_A_TURN):
        async with runtime.database.transaction() as tx:
            mail = await outgoing_mails.claim(tx, now=runtime.now())
        if mail is None or not await _settle(runtime, runtime.mailer, runtime.postbox, mail):
            return


async def _settle(runtime: Runtime, mailer: Mailer, postbox: Postbox, mail: OutgoingMail) -> bool:
    """Send a mail, give it up or put it off; False when others would fare the same."""
    if mail.expires_at <= runtime.now():
        log(logger, logging.WARNING, "A mail was given up", event="mail_given_up", mail_id=mail.id, reason="expired")
        await _forget(runtime, mail.id)
        return True
    try:
        written = postbox.read(mail)
        await mailer.send(written.to, written.subject, written.text, name=str(mail.id))
    except MailRefused as error:
        log(logger, logging.WARNING, "A mail was given up", event="mail_given_up", mail_id=mail.id, reason=str(error))
        await _forget(runtime, mail.id)
        return True
    except (MailError, WrongKey) as error:
        log(logger, logging.WARNING, "A mail was put off", event="mail_put_off", mail_id=mail.id, reason=str(error))
        async with runtime.database.transaction() as tx:
            await outgoing_mails.postpone(tx, mail, now=runtime.now())
        return False
    log(logger, logging.INFO, "A mail was sent", event="mail_sent", mail_id=mail.id)
    await _forget(runtime, mail.id)
    return True


async def _forget(runtime: Runtime, mail_id: UUID) -> None:
    async with runtime.database.transaction() as tx:
        await outgoing_mails.forget(tx, mail_id)
