"""The hall: builds and closes everything that lives as long as the process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.coalescer import Coalescer, Trip
from app.db.embedded import EmbeddedPostgresError, embedded_postgres
from app.db.engine import Connect, Database, connector
from app.db.lane import Lane
from app.db.migrations import head_revision
from app.db.postbox import Postbox
from app.domain.errors import EncryptionKeyMissing, InstallationNotFound
from app.domain.licenses import ValidationQuestion, Verdict
from app.identity_provider import IdentityProvider, open_identity_provider
from app.limiter import Limiter, open_limiter
from app.mail import Mailer
from app.ops.error_groups import ErrorTally
from app.ops.health import is_database_connected
from app.ops.overview.inquiry import Installation
from app.ops.security_events import SecurityTally
from app.passwords import Passwords
from app.services import validation
from app.settings import Settings
from app.telemetry import metrics, security_log
from app.telemetry.logging import errors_told_to, log
from app.telemetry.seldom import Seldom
from app.vault import Vault, VaultError, read_or_make_key_file

BATCHES_IN_FLIGHT = 2
MAX_BATCH = 256
MAX_LINE = 4096
PROBE_SECONDS = 0.6
REVIVE_SECONDS = 2.0
UNSEALED_PAUSE_SECONDS = 3600.0
MAX_WATCHERS = 50

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]
ValidationLine = Coalescer[ValidationQuestion, Verdict]


@dataclass(slots=True)
class Runtime:
    """Everything long-lived; `is_draining` turns true when the server was asked to stop.

    `seat_takers` keeps half of the pool for others while many new machines ask at once; `watchers` are the places of
    those who watch runs. Without a mail server there is neither a `postbox` nor a `mailer`. `unsealed` tells when to
    say again that the audit trail can't be sealed.
    """

    settings: Settings
    database_url: str
    database: Database
    probe_lane: Lane
    line: ValidationLine
    vault: Vault
    postbox: Postbox | None
    mailer: Mailer | None
    passwords: Passwords
    limiter: Limiter
    clock: Clock
    head_revision: str
    security_tally: SecurityTally
    error_tally: ErrorTally
    seat_takers: asyncio.Semaphore
    identity_provider: IdentityProvider | None
    unsealed: Seldom = field(default_factory=lambda: Seldom(UNSEALED_PAUSE_SECONDS))
    watchers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_WATCHERS))
    started_at: float = field(default_factory=time.monotonic)
    is_draining: bool = False

    def now(self) -> datetime:
        """The time in UTC."""
        return self.clock()

    def installation(self) -> Installation:
        """What reports look at."""
        return Installation(self.settings, self.database, self.probe_lane, self.head_revision)

    def uptime_seconds(self) -> int:
        """Whole seconds since the start."""
        return int(time.monotonic() - self.started_at)


def utc_now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


@contextmanager
def database_url(settings: Settings, *, may_create: bool = False) -> Iterator[str]:
    """The URL of the database: the one that is set, or our own PostgreSQL's, which runs at least meanwhile.

    Raises InstallationNotFound where there is none and none may be made, EmbeddedPostgresError and VaultError.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    if not may_create and not has_installation(settings):
        folder = settings.data_dir.resolve()
        raise InstallationNotFound(f"There is none in {folder}: go to the server's folder, or set DATA_DIR.")
    open_vault(settings)  # before the cluster: from then on a missing key is a lost one
    with embedded_postgres(settings.data_dir) as postgres:
        yield postgres.url


@asynccontextmanager
async def open_runtime(settings: Settings, url: str, *, clock: Clock = utc_now) -> AsyncIterator[Runtime]:
    """Build everything, serve the validation line meanwhile, and close it in reverse order."""
    async with AsyncExitStack() as stack:
        opener = connector(settings)
        database = Database(url, pool_size=settings.database_pool_size, connect=opener)
        stack.push_async_callback(database.close)
        probe_lane = Lane(url, trip_seconds=PROBE_SECONDS, tell_outage=_tell_nobody, connect=opener)
        stack.push_async_callback(probe_lane.close)
        passwords = Passwords()
        stack.callback(passwords.close)
        limiter = await stack.enter_async_context(open_limiter(settings))
        line = await stack.enter_async_context(_validation_line(url, clock, opener))
        identity_provider = open_identity_provider(settings)
        if identity_provider is not None:
            stack.push_async_callback(identity_provider.close)
        if settings.database_url is None:
            await stack.enter_async_context(_running_in_background(_revive_postgres(settings, probe_lane)))
        security_tally = SecurityTally(clock)
        stack.enter_context(security_log.listened_to_by(security_tally.add))
        error_tally = ErrorTally(clock)
        stack.enter_context(errors_told_to(error_tally.add))
        vault = open_vault(settings)
        yield Runtime(
            settings=settings,
            database_url=url,
            database=database,
            probe_lane=probe_lane,
            line=line,
            vault=vault,
            postbox=Postbox(vault, settings.public_url) if settings.smtp_host else None,
            mailer=Mailer(settings) if settings.smtp_host else None,
            passwords=passwords,
            limiter=limiter,
            clock=clock,
            head_revision=head_revision(),
            security_tally=security_tally,
            error_tally=error_tally,
            seat_takers=asyncio.Semaphore(max(1, settings.database_pool_size // 2)),
            identity_provider=identity_provider,
        )


def _tell_nobody(error: BaseException) -> None:
    """Probes answer with what they find, and are never logged above debug."""


@asynccontextmanager
async def _running_in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _revive_postgres(settings: Settings, probe_lane: Lane) -> None:
    """Start our own PostgreSQL again when somebody (the kernel out of memory, say) has killed it."""
    while True:
        await asyncio.sleep(REVIVE_SECONDS)
        if await is_database_connected(probe_lane):
            continue
        try:
            await asyncio.to_thread(_start_postgres, settings)
        except EmbeddedPostgresError as error:
            log(logger, logging.ERROR, "Embedded PostgreSQL is down", event="database_down", reason=str(error))


def _start_postgres(settings: Settings) -> None:
    if not has_installation(settings):
        raise EmbeddedPostgresError(f"{settings.data_dir}/postgres is gone: stop the server and restore it.")
    with embedded_postgres(settings.data_dir):
        """Whoever uses it keeps it running; we only start it where it does not."""


def open_vault(settings: Settings) -> Vault:
    """The vault with the keys that are set, or with those kept in DATA_DIR, which a new installation makes."""
    if settings.encryption_key is not None:
        return Vault(settings.encryption_keys())
    path = settings.data_dir / "encryption.key"
    if has_installation(settings) and not path.exists():
        raise VaultError(f"{path} is missing, and the database beside it needs it: restore it from your copy.")
    return Vault(read_or_make_key_file(path))


def require_key(settings: Settings) -> None:
    """Raise EncryptionKeyMissing where a key would have to be made, which opens nothing that there is already."""
    path = settings.data_dir / "encryption.key"
    if settings.encryption_key is None and not path.exists():
        raise EncryptionKeyMissing(
            "Put the encryption key back first (license-server configuration restore): set ENCRYPTION_KEY, or put the"
            f" file to {path.resolve()}; nothing was made yet."
        )


def has_installation(settings: Settings) -> bool:
    """Whether there is a database of our own in DATA_DIR."""
    return (settings.data_dir / "postgres").exists()


@asynccontextmanager
async def _validation_line(url: str, clock: Clock, connect: Connect) -> AsyncIterator[ValidationLine]:
    line = ValidationLine(max_batch=MAX_BATCH, max_line=MAX_LINE, observe_line=metrics.validation_line_length.set)
    lanes = [Lane(url, connect=connect) for _ in range(BATCHES_IN_FLIGHT)]
    servers = [asyncio.create_task(line.serve_line(_timed(lane, clock))) for lane in lanes]
    try:
        yield line
    finally:
        line.close()
        for server in servers:
            server.cancel()
        await asyncio.gather(*servers, return_exceptions=True)
        for lane in lanes:
            await lane.close()


def _timed(lane: Lane, clock: Clock) -> Trip[ValidationQuestion, Verdict]:
    async def trip(questions: Sequence[ValidationQuestion]) -> Sequence[Verdict]:
        started_at = time.perf_counter()
        try:
            return await validation.answer_batch(lane, clock, questions)
        finally:
            metrics.validation_batch_size.observe(len(questions))
            metrics.validation_trip.observe(time.perf_counter() - started_at)

    return trip
