"""The way out: what is not public is never called, in whatever spelling, and nothing is read without end."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.outbound import OutboundRefused, Resolve, may_be_called, open_client

LOOPBACK = (ip_network("127.0.0.0/8"),)
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1"),
        *("192.168.1.1", "192.0.2.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "2001:0:1::1"),
        *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1"),
        *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "not an address", ""),
    ],
)
def test_what_is_not_public_is_not_called(address: str) -> None:
    assert not may_be_called(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::"]
)
def test_what_is_public_is_called(address: str) -> None:
    assert may_be_called(address)


def test_only_networks_that_are_allowed_are_called_all_the_same() -> None:
    allowed = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))

    assert [may_be_called(address, allowed) for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1")] == [True] * 3
    assert [may_be_called(address, allowed) for address in ("192.168.0.1", "fc00::1", "127.0.0.1")] == [False] * 3


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "127.1", "0"),
        *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
    ],
)
async def test_no_spelling_of_a_private_address_is_called(host: str) -> None:
    async with _server(_hello) as (port, requests), open_client() as client:
        with pytest.raises(OutboundRefused):
            await client.get(f"http://{host}:{port}/")

    assert requests == []


async def test_an_allowed_address_is_called_under_its_name() -> None:
    resolve = _standing_for("127.0.0.1")
    async with _server(_hello) as (port, requests), open_client(allowed=LOOPBACK, resolve=resolve) as client:
        response = await client.get(f"http://provider.example:{port}/path")

    assert response.text == "hello"
    assert f"host: provider.example:{port}" in requests[0].lower()


async def test_a_name_that_stands_for_a_private_address_is_refused() -> None:
    async with _server(_hello) as (port, requests), open_client(resolve=_standing_for("127.0.0.1")) as client:
        with pytest.raises(OutboundRefused):
            await client.get(f"http://provider.example:{port}/")

    assert requests == []


async def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    asked = []

    async def change_its_mind(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    async with (
        _server(_hello) as (port, requests),
        open_client(allowed=(ip_network("127.0.0.1/32"),), resolve=change_its_mind) as client,
    ):
        first = await client.get(f"http://provider.example:{port}/")
        with pytest.raises(OutboundRefused):
            await client.get(f"http://provider.example:{port}/")

    assert first.text == "hello"
    assert (len(asked), len(requests)) == (2, 1)


async def test_of_several_addresses_only_those_that_may_be_called_are() -> None:
    async with _server(_hello) as (port, requests):
        resolve = _standing_for("10.0.0.1", "169.254.169.254", "127.0.0.1")
        async with open_client(allowed=LOOPBACK, resolve=resolve) as client:
            response = await client.get(f"http://provider.example:{port}/")

    assert response.text == "hello"
    assert len(requests) == 1


async def test_redirects_are_not_followed_and_those_to_private_addresses_never() -> None:
    async with _server(_hello) as (private_port, reached):

        async def redirect(writer: asyncio.StreamWriter) -> None:
            location = f"http://127.0.0.2:{private_port}/latest/meta-data"
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

        async with _server(redirect) as (port, _), open_client(allowed=(ip_network("127.0.0.1/32"),)) as client:
            plain = await client.get(f"http://127.0.0.1:{port}/")
            with pytest.raises(OutboundRefused):
                await client.get(f"http://127.0.0.1:{port}/", follow_redirects=True)

    assert plain.status_code == 302
    assert reached == []


@pytest.mark.parametrize("host", ["provider.example", "another.example"])
async def test_the_certificate_must_be_that_of_the_name_and_not_of_the_address(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _write_certificate(tmp_path / "server.pem", "provider.example")
    context.load_cert_chain(tmp_path / "server.pem")
    asked: list[str | None] = []
    context.sni_callback = lambda connection, name, _: asked.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))

    async with (
        _server(_hello, context) as (port, _),
        open_client(allowed=LOOPBACK, resolve=_standing_for("127.0.0.1")) as client,
    ):
        if host == "provider.example":
            assert (await client.get(f"https://{host}:{port}/")).text == "hello"
        else:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.get(f"https://{host}:{port}/")

    assert asked == [host]


async def test_an_answer_that_is_too_large_is_not_read_to_its_end() -> None:
    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 200_000)

    async with _server(flood) as (port, _), open_client(allowed=LOOPBACK, max_bytes=10_000) as client:
        with pytest.raises(OutboundRefused, match="larger"):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_a_compressed_answer_is_refused_because_it_could_unpack_without_end() -> None:
    async def bomb(writer: asyncio.StreamWriter) -> None:
        body = gzip.compress(b"0" * 10_000_000)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    async with _server(bomb) as (port, _), open_client(allowed=LOOPBACK, max_bytes=100_000) as client:
        with pytest.raises(OutboundRefused, match="compressed"):
            await client.get(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
async def test_a_server_that_hangs_is_left_in_time(beginning: bytes) -> None:
    async def hang(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await asyncio.Event().wait()

    async with _server(hang) as (port, _), open_client(allowed=LOOPBACK, seconds=0.2) as client:
        with pytest.raises(httpx.TimeoutException):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_a_name_server_that_hangs_is_left_in_time() -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with open_client(resolve=hang, seconds=0.2) as client:
        with pytest.raises(httpx.TimeoutException):
            await client.get("http://provider.example/")


async def test_an_unknown_name_and_a_closed_port_are_errors_of_the_way() -> None:
    async def fail(host: str, port: int) -> Sequence[str]:
        raise OSError("unknown")

    async with open_client(resolve=fail) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://provider.example/")
    async with _server(_hello) as (port, _):
        pass
    async with open_client(allowed=LOOPBACK) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/")


async def test_proxies_of_the_environment_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _server(_hello) as (proxy_port, asked), _server(_hello) as (port, _):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy_port}")
        async with open_client(allowed=LOOPBACK) as client:
            await client.get(f"http://127.0.0.1:{port}/")

    assert asked == []


async def _hello(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def _standing_for(*addresses: str) -> Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


def _write_certificate(path: Path, name: str) -> None:
    """A certificate for the name that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    encoded = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(encoded + certificate.public_bytes(serialization.Encoding.PEM))


@asynccontextmanager
async def _server(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[str]]]:
    """A server on 127.0.0.1 that answers so, its port, and the heads of the requests that reach it."""
    heads: list[str] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await answer(writer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            """The client is gone, or the test is over."""
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
