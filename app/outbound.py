"""The way out: HTTP calls to addresses that others chose, which never reach what only this server can reach."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpcore
import httpx

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

MAX_ANSWER_BYTES = 1_048_576
CALL_SECONDS = 5.0
CONNECT_SECONDS = 3.0
MAX_ADDRESSES = 8

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


class OutboundRefused(httpx.RequestError):
    """This call would go where the server must not call, or its answer is more than we take."""


class ForbiddenAddress(httpcore.ConnectError):
    """The name stands for no address that may be called."""


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """The addresses that a name stands for now, as the system resolves it; also of literal ones in odd spellings."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def may_be_called(text: str, allowed: Iterable[Network] = ()) -> bool:
    """Whether an address is public or lies in an allowed network.

    An IPv6 address that carries an IPv4 one (mapped, compatible, 6to4, NAT64) leads there, so that one is judged.
    """
    try:
        address = _led_to(ip_address(text))
    except ValueError:
        return False
    if any(address.version == network.version and address in network for network in allowed):
        return True
    is_special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not is_special and not is_site_local


def open_client(
    *,
    allowed: Sequence[Network] = (),
    resolve: Resolve = resolve_name,
    max_bytes: int = MAX_ANSWER_BYTES,
    seconds: float = CALL_SECONDS,
) -> httpx.AsyncClient:
    """A client whose every call, redirects that are asked for too, is checked, and bounded in time and size.

    It believes no proxy settings of the environment: behind a proxy nobody could know which address is called. Raises
    OutboundRefused, and httpx.TransportError for everything else that goes wrong on the way.
    """
    transport = _BoundedTransport(_GuardedTransport(allowed, resolve), max_bytes=max_bytes, seconds=seconds)
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
        headers={"Accept-Encoding": "identity"},
    )


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport, on a pool that connects through our backend; SNI and Host keep the name."""

    def __init__(self, allowed: Sequence[Network], resolve: Resolve) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=20,
            max_keepalive_connections=0,
            network_backend=_GuardedBackend(allowed, resolve),
        )


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to exactly the address that was checked: a name that stands for another one later changes nothing."""

    def __init__(self, allowed: Sequence[Network], resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore calls it so
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of the host that may be called and answers."""
        failure: Exception = ForbiddenAddress(f"{host} is no address that may be called")
        for address in await self._checked(host, port, timeout):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore calls it so
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refused: sockets of this machine are never meant."""
        raise ForbiddenAddress("sockets of this machine are never called")

    async def sleep(self, seconds: float) -> None:
        """Wait, as the backend below does."""
        await self._inner.sleep(seconds)

    async def _checked(self, host: str, port: int, seconds: float | None) -> list[str]:
        try:
            async with asyncio.timeout(seconds):
                found = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} was not resolved in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host} is not known") from error
        except UnicodeError as error:
            raise ForbiddenAddress("this is no name of a host") from error
        return [address for address in dict.fromkeys(found[:MAX_ADDRESSES]) if may_be_called(address, self._allowed)]


class _BoundedTransport(httpx.AsyncBaseTransport):
    """Ends a call that takes too long as a whole, whatever its single reads take, and an answer without end."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, max_bytes: int, seconds: float) -> None:
        self._inner = inner
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whose body is bounded while it is read."""
        ends_at = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(ends_at):
                response = await self._inner.handle_async_request(request)
        except TimeoutError as error:
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        except httpx.ConnectError as error:
            if isinstance(error.__cause__, ForbiddenAddress):
                raise OutboundRefused(str(error), request=request) from error
            raise
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise OutboundRefused("a compressed answer could unpack without end", request=request)
        assert isinstance(response.stream, httpx.AsyncByteStream), "an asynchronous transport gives such a stream"
        response.stream = _BoundedStream(response.stream, request, max_bytes=self._max_bytes, ends_at=ends_at)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, request: httpx.Request, *, max_bytes: int, ends_at: float) -> None:
        self._inner = inner
        self._request = request
        self._max_bytes = max_bytes
        self._ends_at = ends_at

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._inner)
        size = 0
        while True:
            try:
                async with asyncio.timeout_at(self._ends_at):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise httpx.ReadTimeout("the answer did not end in time", request=self._request) from error
            size += len(chunk)
            if size > self._max_bytes:
                raise OutboundRefused("the answer is larger than we take", request=self._request)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _led_to(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
