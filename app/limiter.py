"""Rate limits: named budgets in fixed windows, counted in this process or in a Valkey that several servers share.

A window begins with the first request that is counted in it and ends one period later. While the shared store is away,
each policy does what RATE_LIMIT_STORE_AWAY says, and no request waits for the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from math import ceil
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from limits import (
    RateLimitItem,
    RateLimitItemPerDay,
    RateLimitItemPerHour,
    RateLimitItemPerMinute,
    RateLimitItemPerSecond,
)
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from app.coalescer import Coalescer, LineClosed, LineFull, Outage
from app.settings import RateLimit, RateLimitPolicy, RatePeriod, Settings, SettingsError, StoreAway
from app.telemetry.logging import log

STORE_SECONDS = 0.25
"""The longest that a request waits for the shared store."""
PAUSE_SECONDS = 1.0
TRIPS_IN_FLIGHT = 2
MAX_BATCH = 256
MAX_LINE = 4096
MAX_WINDOWS = 100_000
GENERATION = 50_000
TAKING_TURNS = frozenset({RateLimitPolicy.LOGIN, RateLimitPolicy.LOGIN_ADDRESS})
"""Where a request is given back when it succeeds: many who are right at the same moment must not refuse each other."""
KEY_PREFIX = "license-server/rate-limit"

WINDOWS: Mapping[RatePeriod, type[RateLimitItem]] = {
    RatePeriod.SECOND: RateLimitItemPerSecond,
    RatePeriod.MINUTE: RateLimitItemPerMinute,
    RatePeriod.HOUR: RateLimitItemPerHour,
    RatePeriod.DAY: RateLimitItemPerDay,
}

SPEND = """
local found = {}
for i, key in ipairs(KEYS) do
  local amount, period, count = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i]), 0
  if amount > 0 or redis.call('EXISTS', key) == 1 then
    count = redis.call('INCRBY', key, amount)
  end
  local left = redis.call('PTTL', key)
  if left == -1 then
    redis.call('PEXPIRE', key, period)
  end
  found[2 * i - 1], found[2 * i] = count, left < 0 and period or left
end
return found
"""
"""Spends from many windows in one trip: for each of them its count and the milliseconds until it ends."""

logger = logging.getLogger(__name__)

Who = str | bytes
Charge = tuple[RateLimitPolicy, Who, int]
"""From which budget, whose share of it, and how much; 0 only looks."""


class LimitClosed(Exception):
    """The shared store is away, and this policy refuses meanwhile."""


class Spent(NamedTuple):
    """What somebody has spent of a budget in the window that ends at `ends_at` (monotonic)."""

    budget: Budget
    who: Who
    used: int
    ends_at: float
    is_shared: bool = False

    @property
    def is_exceeded(self) -> bool:
        """Whether this request was one too many."""
        return self.used > self.budget.limit

    @property
    def is_used_up(self) -> bool:
        """Whether the next request will be one too many."""
        return self.used >= self.budget.limit

    @property
    def remaining(self) -> int:
        """How many requests are left in this window."""
        return max(0, self.budget.limit - self.used)

    def seconds_left(self) -> int:
        """Seconds until the window has ended, rounded up, at least 1."""
        return max(1, ceil(self.ends_at - monotonic()))


class _Window:
    __slots__ = ("count", "ends_at")

    def __init__(self, ends_at: float) -> None:
        self.count = 0
        self.ends_at = ends_at


class Budget:
    """The limit of one policy, with the windows that this process knows; the oldest go first when there are many."""

    def __init__(self, policy: RateLimitPolicy, limit: RateLimit, away: StoreAway) -> None:
        self.policy = policy
        self.limit = limit.count
        self._item = WINDOWS[limit.period](limit.count, namespace=f"{KEY_PREFIX}/{policy}")
        self.seconds = self._item.get_expiry()
        self.away = away
        self.description = f'"{policy}";q={self.limit};w={self.seconds}'
        self._windows: OrderedDict[Who, _Window] = OrderedDict()

    def shared_key(self, who: Who) -> str:
        """The name of the window in the shared store; another limit is another window."""
        return self._item.key_for(who.hex() if isinstance(who, bytes) else who)

    def spend(self, who: Who, amount: int, now: float) -> Spent:
        """Count in this process alone."""
        window = self._windows.get(who)
        if window is None or window.ends_at <= now:
            if amount <= 0:
                return Spent(self, who, 0, now + self.seconds)
            window = self._open(who, now + self.seconds, now)
        window.count += amount
        return Spent(self, who, window.count, window.ends_at)

    def give_back(self, spent: Spent) -> None:
        """Undo one `spend`, unless its window has ended."""
        window = self._windows.get(spent.who)
        if window is not None and window.ends_at == spent.ends_at:
            window.count -= 1

    def remember(self, spent: Spent, now: float) -> None:
        """Keep what the shared store counted: this process goes on from there while the store is away."""
        window = self._windows.get(spent.who)
        if window is None or window.ends_at <= now:
            window = self._open(spent.who, spent.ends_at, now)
        window.count = spent.used
        window.ends_at = spent.ends_at

    def _open(self, who: Who, ends_at: float, now: float) -> _Window:
        self._windows.pop(who, None)
        for _ in range(2):  # one comes, so two may go: the ended ones never pile up, and no request clears them all
            oldest = next(iter(self._windows.values()), None)
            if oldest is None or (oldest.ends_at > now and len(self._windows) < MAX_WINDOWS):
                break
            self._windows.popitem(last=False)
        window = self._windows[who] = _Window(ends_at)
        return window


class Recently:
    """What was seen lately: two generations of a bounded size, of which the older is forgotten as a whole."""

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._younger: set[bytes] = set()
        self._older: set[bytes] = set()

    def __contains__(self, seen: bytes) -> bool:
        return seen in self._younger or seen in self._older

    def add(self, seen: bytes) -> None:
        """Remember it."""
        if len(self._younger) >= self._generation and seen not in self._younger:
            self._older, self._younger = self._younger, set()
        self._younger.add(seen)

    def discard(self, seen: bytes) -> None:
        """Forget it."""
        self._younger.discard(seen)
        self._older.discard(seen)


class Turns:
    """Lets so many through at once for each name; the others wait for their turn."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Semaphore:
        """Entered for a turn; gone when nobody holds it any more."""
        turn = self._turns.get(name)
        if turn is None:
            turn = self._turns[name] = asyncio.Semaphore(self._at_once)
        return turn


class Limiter:
    """All budgets of this server; `found_license_keys` and `good_credentials` say only that these exist."""

    def __init__(self, settings: Settings, store: SharedStore | None = None) -> None:
        self._store = store
        self._budgets = {
            policy: Budget(policy, limit, settings.rate_limit_store_away.of(policy))
            for policy, limit in settings.rate_limits.items()
            if limit is not None
        }
        self.is_shadow = settings.rate_limit_shadow
        self.found_license_keys = Recently()
        self.good_credentials = Recently()
        self._turns = {
            policy: Turns(budget.limit) for policy, budget in self._budgets.items() if policy in TAKING_TURNS
        }

    def look(self, policy: RateLimitPolicy, who: Who) -> Spent | None:
        """What this process knows to be spent, without a trip and without counting; None without a limit."""
        budget = self._budgets.get(policy)
        is_away = self._store is not None and self._store.is_away
        if budget is None or (is_away and budget.away is not StoreAway.OWN):
            return None
        return budget.spend(who, 0, monotonic())

    def turn(self, policy: RateLimitPolicy, who: str) -> AbstractAsyncContextManager[None]:
        """Entered by as many at once as may fail; the others wait for their turn."""
        turns = self._turns.get(policy)
        return nullcontext() if turns is None else turns.of(who)

    async def charge(self, *charges: Charge) -> list[Spent]:
        """Spend from budgets, in one trip where the store is shared; policies without a limit are left out.

        Raises LimitClosed.
        """
        budgets = self._budgets
        wanted = [(budgets[policy], who, amount) for policy, who, amount in charges if policy in budgets]
        if self._store is None:
            now = monotonic()
            return [budget.spend(who, amount, now) for budget, who, amount in wanted]
        if wanted and not self._store.is_away:
            try:
                return await self._store.spend(wanted)
            except (Outage, LineFull, LineClosed):
                """Told once by the store; this request is counted as while it is away."""
        return _spend_alone(wanted)

    async def give_back(self, spent: Spent) -> None:
        """Undo one charge; one whose window has ended meanwhile is left alone."""
        if not spent.is_shared:
            spent.budget.give_back(spent)
            return
        is_surely_open = monotonic() + STORE_SECONDS < spent.ends_at
        if self._store is None or self._store.is_away or not is_surely_open:
            return
        try:
            await self._store.spend([(spent.budget, spent.who, -1)])
        except (Outage, LineFull, LineClosed):
            """It stays charged until its window ends."""


Wanted = tuple[Budget, Who, int]


def _spend_alone(wanted: Sequence[Wanted]) -> list[Spent]:
    if any(budget.away is StoreAway.CLOSED for budget, _, _ in wanted):
        raise LimitClosed
    now = monotonic()
    return [budget.spend(who, amount, now) for budget, who, amount in wanted if budget.away is StoreAway.OWN]


class SharedStore:
    """Windows in Valkey or Redis: concurrent requests share a trip, and each of them waits a quarter second at most."""

    def __init__(self, url: str) -> None:
        try:
            self._client = store_client(url, seconds=STORE_SECONDS)
            self._client.connection_pool.make_connection()  # not connected: it only takes the options, or refuses them
        except (ValueError, TypeError) as error:
            raise SettingsError("REDIS_URL must be an address without options that no client knows.") from error
        self._script = self._client.register_script(SPEND)
        self._line = Coalescer[Sequence[Wanted], list[Spent]](max_batch=MAX_BATCH, max_line=MAX_LINE)
        self._lost = asyncio.Event()

    @property
    def is_away(self) -> bool:
        """Whether the last trip failed and none has succeeded since."""
        return self._lost.is_set()

    async def spend(self, wanted: Sequence[Wanted]) -> list[Spent]:
        """Count in the store; raises Outage, LineFull, LineClosed."""
        spent = await self._line.ask(wanted)
        now = monotonic()
        for one in spent:
            one.budget.remember(one, now)
        return spent

    async def serve(self) -> None:
        """Take the trips and look after a lost store, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(TRIPS_IN_FLIGHT):
                    tasks.create_task(self._line.serve_line(self._trip))
                tasks.create_task(self._wait_for_return())
        finally:
            self._line.close()
            await self._client.aclose()

    async def _trip(self, questions: Sequence[Sequence[Wanted]]) -> list[list[Spent]]:
        wanted = [one for question in questions for one in question]
        started_at = monotonic()
        found = iter(await self._run(wanted))
        return [
            [
                Spent(budget, who, next(found), started_at + next(found) / 1000, is_shared=True)
                for budget, who, _ in question
            ]
            for question in questions
        ]

    async def _run(self, wanted: Sequence[Wanted]) -> list[int]:
        keys = [budget.shared_key(who) for budget, who, _ in wanted]
        arguments = [number for budget, _, amount in wanted for number in (amount, budget.seconds * 1000)]
        try:
            return await self._spend(keys, arguments)
        except (ValkeyError, OSError, TimeoutError) as error:
            self._lose(error)
            raise Outage from error

    async def _spend(self, keys: Sequence[str], arguments: Sequence[int]) -> list[int]:
        async with asyncio.timeout(STORE_SECONDS):
            found: list[int] = await self._script(keys, arguments)
        return found

    def _lose(self, error: Exception) -> None:
        if self.is_away:
            return
        self._lost.set()
        reason = f"{type(error).__name__} {error}".strip()[:200]
        log(
            logger,
            logging.WARNING,
            "The shared store of rate limits is away; limits do what RATE_LIMIT_STORE_AWAY says",
            event="rate_limit_store_away",
            reason=reason,
        )

    async def _wait_for_return(self) -> None:
        """Nobody's request is spent on finding out: the store is asked once a second, beside them."""
        while True:
            await self._lost.wait()
            await asyncio.sleep(PAUSE_SECONDS)
            try:
                await self._spend([f"{KEY_PREFIX}/probe"], [1, 1000])  # a write: a replica or a full store is not back
            except (ValkeyError, OSError, TimeoutError):
                continue
            self._lost.clear()
            log(logger, logging.WARNING, "The shared store of rate limits is back", event="rate_limit_store_back")


def store_client(url: str, *, seconds: float) -> Any:
    """A client (its library has no types), not connected yet; ValueError or TypeError for options nobody knows."""
    scheme = urlsplit(url).scheme
    known = {"redis": "valkey", "rediss": "valkeys"}.get(scheme, scheme)  # they speak the same protocol
    encrypted = {"ssl_check_hostname": True} if known == "valkeys" else {}
    address = f"{known}{url[len(scheme) :]}"
    return Valkey.from_url(address, socket_timeout=seconds, socket_connect_timeout=seconds, **encrypted)


def check_store_address(settings: Settings) -> None:
    """Raises SettingsError when REDIS_URL is an address that can't be used; the store itself may be away."""
    if settings.redis_url is not None:
        SharedStore(settings.redis_url.get_secret_value())


@asynccontextmanager
async def open_limiter(settings: Settings) -> AsyncIterator[Limiter]:
    """The limiter, with the shared store where REDIS_URL is set; it is not asked before somebody is counted."""
    if settings.redis_url is None:
        yield Limiter(settings)
        return
    store = SharedStore(settings.redis_url.get_secret_value())
    serving = asyncio.create_task(store.serve())
    try:
        yield Limiter(settings, store)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
