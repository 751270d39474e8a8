"""Mail is handed to a real mail server, encrypted where that is wanted, and never waits for ever."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.mail import Mailer, MailError, MailRefused
from app.settings import Settings
from tests.live import free_port
from tests.mail_server import MailServer, read_text

TO = "anna@acme.example"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


def make_mailer(server: MailServer, trusted: Path | None = None, **others: object) -> Mailer:
    """A mailer that uses the server, and trusts the certificate."""
    settings = Settings.model_validate({**server.settings, "admin_email": "operator@acme.example", **others})
    context = ssl.create_default_context(cafile=trusted) if trusted else None
    return Mailer(settings, tls_context=context, step_seconds=2.0)


async def test_a_message_arrives_as_it_was_written() -> None:
    with MailServer() as server:
        await make_mailer(server).send(TO, "Grüße", "Line one\n\nits" + "x" * 200 + "\n", name="mail-1")

    [message] = server.messages
    assert (message["To"], message["Subject"]) == (TO, "Grüße")
    assert message["From"] == "iTechSmart License Server <operator@acme.example>"
    assert message["Message-ID"] == "<mail-1@acme.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert read_text(message) == "Line one\n\nits" + "x" * 200 + "\n"


async def test_the_sender_is_the_one_that_is_set() -> None:
    with MailServer() as server:
        await make_mailer(server, smtp_from="licenses@acme.example").send(TO, "Hello", "Hello", name="mail-1")

    assert server.messages[0]["From"].addresses[0].addr_spec == "licenses@acme.example"


async def test_a_login_happens_only_after_starttls(certificate: Path) -> None:
    with MailServer(certificate=certificate, with_login=True) as server:
        await make_mailer(server, certificate).send(TO, "Hello", "Hello", name="mail-1")

    assert len(server.messages) == 1


async def test_a_wrong_login_is_told_without_its_words(certificate: Path) -> None:
    with MailServer(certificate=certificate, with_login=True) as server:
        mailer = make_mailer(server, certificate, smtp_password="wrong-password")
        with pytest.raises(MailError, match=r"^SMTPAuthenticationError 535$"):
            await mailer.send(TO, "Hello", "Hello", name="mail-1")


async def test_a_certificate_that_nobody_vouches_for_gets_no_mail(certificate: Path) -> None:
    with MailServer(certificate=certificate) as server, pytest.raises(MailError, match="certificate"):
        await make_mailer(server).send(TO, "Hello", "Hello", name="mail-1")

    assert server.messages == []


async def test_without_starttls_nothing_is_sent_where_it_is_asked_for() -> None:
    with MailServer() as server, pytest.raises(MailError):
        await make_mailer(server, smtp_tls="starttls").send(TO, "Hello", "Hello", name="mail-1")

    assert server.messages == []


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        ("550 no such anna@acme.example", MailRefused, r"^recipient refused \(550\)$"),
        ("451 greylisted anna@acme.example", MailError, r"^recipient refused for now \(451\)$"),
    ],
)
async def test_a_recipient_who_is_refused_is_told_by_number_alone(
    answer: str, kind: type[MailError], reason: str
) -> None:
    with MailServer() as server:
        server.refuse(TO, answer)
        with pytest.raises(MailError, match=reason) as refusal:
            await make_mailer(server).send(TO, "Hello", "Hello", name="mail-1")

    assert type(refusal.value) is kind


async def test_a_message_that_would_add_headers_is_refused() -> None:
    with MailServer() as server, pytest.raises(MailRefused):
        await make_mailer(server).send(TO, "Hello\nBcc: all@acme.example", "Hello", name="mail-1")

    assert server.messages == []


async def test_a_mail_server_that_is_away_or_silent_is_told_in_time() -> None:
    server = MailServer()
    server.port = free_port()
    with pytest.raises(MailError, match="ConnectError"):
        await make_mailer(server).send(TO, "Hello", "Hello", name="mail-1")

    with socket.create_server(("127.0.0.1", 0)) as silent:
        server.port = silent.getsockname()[1]
        settings = Settings.model_validate(server.settings)
        with pytest.raises(MailError, match="Timeout"):
            await Mailer(settings, step_seconds=0.2).send(TO, "Hello", "Hello", name="mail-1")
