"""Mail: hands a message to the mail server, within bounds, and says in plain words why it was not taken."""

from __future__ import annotations

import asyncio
import socket
import ssl
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formataddr, formatdate
from typing import Any

import aiosmtplib
from email_validator import EmailNotValidError, validate_email

from app.settings import Settings, SmtpTls

SENDER_NAME = "iTechSmart License Server"
STEP_SECONDS = 10.0
ALL_SECONDS = 30.0
PERMANENT = 500


class MailError(Exception):
    """The mail server did not take the message; the reason holds no address."""


class MailRefused(MailError):
    """The mail server will never take this message."""


class Mailer:
    """Sends plain text through the mail server of the settings."""

    def __init__(
        self, settings: Settings, *, tls_context: ssl.SSLContext | None = None, step_seconds: float = STEP_SECONDS
    ) -> None:
        self._host = settings.smtp_host
        self._port = settings.smtp_port
        self._username = settings.smtp_username
        self._password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        self._tls = settings.smtp_tls
        self._context = None if self._tls is SmtpTls.NONE else tls_context or ssl.create_default_context()
        self._step_seconds = step_seconds
        self.sender = _ascii(settings.smtp_from or settings.admin_email)

    async def send(self, to: str, subject: str, text: str, *, name: str) -> None:
        """Hand one message over, named so that a second copy of it can be told; raises MailError within 30 s."""
        try:
            message = self._written(to, subject, text, name)
        except (ValueError, MessageError) as error:
            raise MailRefused(f"the message can't be written ({type(error).__name__})") from error
        try:
            async with asyncio.timeout(ALL_SECONDS):
                await self._hand_over(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal("recipient refused", error.recipients[0].code) from error
        except aiosmtplib.SMTPDataError as error:
            raise _refusal("message refused", error.code) from error
        except aiosmtplib.SMTPResponseException as error:  # its words may repeat an address
            raise MailError(f"{type(error).__name__} {error.code}") from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error

    async def greet(self) -> None:
        """Say hello as before a message, with the encryption that is set, and leave; raises MailError."""
        client = aiosmtplib.SMTP(**self._way())
        try:
            async with asyncio.timeout(self._step_seconds):
                await client.connect()
                await client.ehlo()
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
        finally:
            client.close()

    def _written(self, to: str, subject: str, text: str, name: str) -> EmailMessage:
        message = EmailMessage()
        message["From"] = formataddr((SENDER_NAME, self.sender))
        message["To"] = _ascii(to)
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{name}@{self.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    async def _hand_over(self, message: EmailMessage) -> None:
        await aiosmtplib.send(
            message,
            username=self._username,
            password=self._password,
            **self._way(),
        )

    def _way(self) -> dict[str, Any]:
        return {
            "hostname": self._host,
            "port": self._port,
            "local_hostname": socket.gethostname(),  # the library would ask the DNS for it, and wait
            "timeout": self._step_seconds,
            "use_tls": self._tls is SmtpTls.IMPLICIT,
            "start_tls": self._tls is SmtpTls.STARTTLS,
            "tls_context": self._context,
        }


def _refusal(what: str, code: int) -> MailError:
    return MailRefused(f"{what} ({code})") if code >= PERMANENT else MailError(f"{what} for now ({code})")


def _ascii(address: str) -> str:
    """The address as every mail server understands it, where there is such a form."""
    try:
        return validate_email(address, check_deliverability=False).ascii_email or address
    except EmailNotValidError:
        return address
