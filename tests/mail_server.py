"""A real mail server for tests, in a process of its own: keeps what it takes; can be away, want a login, refuse."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.live import REPOSITORY, free_port

USERNAME = "license-server"
PASSWORD = "mail-server-password"
TOKEN = re.compile(r"\bits[ipr]_[\w-]{43}$", re.MULTILINE)
REFUSALS = "refusals.json"


class MailServer:
    """Started when entered, stopped when left; `start` and `stop` let it be away in between."""

    def __init__(self, *, certificate: Path | None = None, with_login: bool = False) -> None:
        self.port = free_port()
        self._certificate = certificate
        self._with_login = with_login
        self._folder = Path()
        self._kept: list[EmailMessage] | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> MailServer:
        self._folder = Path(tempfile.mkdtemp(prefix="lst-mail-"))
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._kept = self.messages
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Take mail."""
        wishes = [str(self.port), str(self._folder), str(self._certificate or ""), "login" if self._with_login else ""]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mail_server", *wishes],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None, "a pipe was asked for"
        assert self._process.stdout.readline() == "ready\n"

    def stop(self) -> None:
        """Be away."""
        if self._process is not None:
            self._process.communicate(timeout=20)
            self._process = None

    def refuse(self, address: str, answer: str) -> None:
        """Give this answer to mail for somebody from now on."""
        (self._folder / REFUSALS).write_text(json.dumps({address: answer}))

    @property
    def settings(self) -> dict[str, object]:
        """The settings of a license server that uses this mail server."""
        login = {"smtp_username": USERNAME, "smtp_password": PASSWORD} if self._with_login else {}
        tls = "none" if self._certificate is None else "starttls"
        return {"smtp_host": "127.0.0.1", "smtp_port": self.port, "smtp_tls": tls, **login}

    @property
    def messages(self) -> list[EmailMessage]:
        """What was taken, oldest first."""
        if self._kept is not None:
            return self._kept
        paths = sorted(self._folder.glob("*.eml"))
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]

    def texts_to(self, address: str) -> list[str]:
        """The texts of what somebody was sent, oldest first."""
        return [read_text(message) for message in self.messages if message["To"] == address]

    def token_to(self, address: str) -> str:
        """The token in the last mail that somebody was sent."""
        [*_, text] = self.texts_to(address)
        [token] = TOKEN.findall(text.split("your code is")[-1])
        return str(token)


def read_text(message: EmailMessage) -> str:
    """The text of a message, with the line ends of a file."""
    return str(message.get_content()).replace("\r\n", "\n")


class _Keeper:
    """What the mail server does with mail: one file a message, unless somebody is to be refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_RCPT(  # noqa: N802 - the library looks for this name
        self, server: object, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusals = self._folder / REFUSALS
        answers = json.loads(refusals.read_text()) if refusals.exists() else {}
        if address in answers:
            return str(answers[address])
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes), "data is not decoded"
        number = len(list(self._folder.glob("*.eml")))
        (self._folder / f"{number:06}.eml").write_bytes(envelope.content)
        return "250 OK"


def _authenticate(server: object, session: object, envelope: object, mechanism: str, data: object) -> AuthResult:
    known = LoginPassword(USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=data == known, handled=False)


def _serve(port: str, folder: str, certificate: str, login: str) -> None:
    options: dict[str, Any] = {}
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        options |= {"tls_context": context, "require_starttls": True}
    if login:
        options |= {"auth_required": True, "auth_require_tls": bool(certificate), "authenticator": _authenticate}
    controller = Controller(_Keeper(Path(folder)), hostname="127.0.0.1", port=int(port), **options)
    controller.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()  # until whoever started us closes it, or dies
    controller.stop()


if __name__ == "__main__":
    _serve(*sys.argv[1:])
