"""Budgets in fixed windows: in this process, and shared through a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

import pytest
from valkey.asyncio import SSLConnection

from app.limiter import (
    MAX_WINDOWS,
    Budget,
    LimitClosed,
    Limiter,
    Recently,
    SharedStore,
    Spent,
    Turns,
    check_store_address,
    open_limiter,
)
from app.settings import RateLimit, RateLimitPolicy, RatePeriod, Settings, SettingsError, StoreAway
from tests.live import wait_until
from tests.valkey import LiveValkey

VALIDATE, KEY, LOGIN, GUESS = (
    RateLimitPolicy.VALIDATE,
    RateLimitPolicy.VALIDATE_KEY,
    RateLimitPolicy.LOGIN,
    RateLimitPolicy.GUESS,
)


def make_budget(count: int = 3, period: RatePeriod = RatePeriod.MINUTE) -> Budget:
    return Budget(VALIDATE, RateLimit(count, period), StoreAway.OWN)


@asynccontextmanager
async def limiter(**others: object) -> AsyncIterator[Limiter]:
    """A limiter with three validations and three logins a minute."""
    given = {"rate_limit_validate": "3/minute", "rate_limit_login": "3/minute", **others}
    async with open_limiter(Settings.model_validate(given)) as opened:
        yield opened


async def spend(limiter: Limiter, who: str = "a", policy: RateLimitPolicy = VALIDATE) -> Spent:
    [spent] = await limiter.charge((policy, who, 1))
    return spent


async def until_shared(limiter: Limiter) -> None:
    """Wait until the store is asked again."""
    store = limiter._store
    assert store is not None
    await asyncio.to_thread(wait_until, lambda: not store.is_away, "the store is asked again")


def test_a_window_ends_one_period_after_its_first_request() -> None:
    budget = make_budget()

    used = [budget.spend("a", 1, now).used for now in (100.0, 130.0, 159.9, 160.0)]

    assert used == [1, 2, 3, 1]


def test_the_request_after_the_last_one_is_one_too_many() -> None:
    budget = make_budget(2)

    spent = [budget.spend("a", 1, 100.0) for _ in range(3)]

    assert [(one.is_used_up, one.is_exceeded, one.remaining) for one in spent] == [
        (False, False, 1),
        (True, False, 0),
        (True, True, 0),
    ]


def test_everybody_has_a_window_of_their_own() -> None:
    budget = make_budget()

    assert [budget.spend(who, 1, 100.0).used for who in ("a", b"a", "a")] == [1, 1, 2]


def test_looking_counts_nothing() -> None:
    budget = make_budget()

    assert [budget.spend("a", amount, 100.0).used for amount in (0, 1, 0, 1)] == [0, 1, 1, 2]


def test_what_is_given_back_can_be_spent_again_in_the_same_window_alone() -> None:
    budget = make_budget()
    first = budget.spend("a", 1, 100.0)
    budget.spend("a", 1, 101.0)

    budget.give_back(first)
    in_the_same = budget.spend("a", 1, 102.0).used
    in_the_next = budget.spend("a", 1, 170.0).used
    budget.give_back(first)

    assert (in_the_same, in_the_next, budget.spend("a", 0, 171.0).used) == (2, 1, 1)


def test_ended_windows_are_forgotten_and_living_ones_bounded() -> None:
    budget = make_budget()
    for number in range(MAX_WINDOWS + 500):
        budget.spend(str(number), 1, 100.0)
    many = len(budget._windows)

    for number in range(MAX_WINDOWS):
        budget.spend(f"later {number}", 1, 200.0 + number / 1000)

    assert many == MAX_WINDOWS
    assert len(budget._windows) <= 60_001


def test_what_was_seen_recently_is_remembered_for_at_least_one_generation() -> None:
    recently = Recently(generation=3)

    for number in range(5):
        recently.add(bytes([number]))

    assert [bytes([number]) in recently for number in range(5)] == [True] * 5
    recently.discard(bytes([4]))
    for number in range(10, 15):
        recently.add(bytes([number]))
    assert [bytes([number]) in recently for number in range(5)] == [False, False, False, True, False]


async def test_so_many_have_a_turn_at_once_and_the_others_wait() -> None:
    turns = Turns(2)

    async with turns.of("a"), turns.of("a"), turns.of("b"):
        third = asyncio.create_task(turns.of("a").acquire())
        await asyncio.sleep(0)
        assert not third.done()
    await third


async def test_a_policy_that_is_off_is_left_out() -> None:
    async with limiter(rate_limit_validate="off") as opened:
        spent = await opened.charge((VALIDATE, "a", 1), (LOGIN, "a", 1))

    assert [one.budget.policy for one in spent] == [LOGIN]


@pytest.mark.parametrize("address", ["redis://127.0.0.1:{port}", "valkey://127.0.0.1:{port}/0", "unix://{socket}?db=1"])
async def test_every_kind_of_address_reaches_the_store(valkey: LiveValkey, address: str) -> None:
    url = address.format(port=valkey.port, socket=valkey.socket)
    async with limiter(redis_url=url) as one, limiter(redis_url=url) as other:
        used = [(await spend(each)).used for each in (one, other, one)]

    assert used == [1, 2, 3]


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_an_encrypted_address_is_reached_encrypted(scheme: str) -> None:
    store = SharedStore(f"{scheme}://store.example.com")

    connection = store._client.connection_pool.make_connection()

    assert isinstance(connection, SSLConnection)
    assert connection.check_hostname


async def test_a_store_with_a_password_is_used() -> None:
    with LiveValkey.in_a_folder_of_its_own("--requirepass", "its own secret") as guarded:
        url = f"redis://:its%20own%20secret@127.0.0.1:{guarded.port}"
        async with limiter(redis_url=url) as opened:
            assert (await spend(opened)).is_shared


@pytest.mark.parametrize("options", ["?db=first", "?nonsense=1"])
def test_an_address_with_wrong_options_is_told_at_the_start(options: str) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL"):
        check_store_address(Settings.model_validate({"redis_url": f"redis://:secret@127.0.0.1{options}"}))


async def test_parallel_requests_of_two_servers_share_one_limit_exactly(valkey: LiveValkey) -> None:
    given = {"redis_url": valkey.url, "rate_limit_validate": "50/minute"}
    async with limiter(**given) as one, limiter(**given) as other:
        spent = await asyncio.gather(*(spend(each) for each in (one, other) * 40))

    assert sorted(one.used for one in spent) == list(range(1, 81))
    assert sum(not one.is_exceeded for one in spent) == 50


async def test_the_store_forgets_a_window_when_it_ends(valkey: LiveValkey) -> None:
    async with limiter(redis_url=valkey.url, rate_limit_validate="3/second", rate_limit_validate_key="2/second") as own:
        await own.charge((VALIDATE, "a", 1), (KEY, b"\x01", 1), (GUESS, "a", 0))
        kept = valkey.keys()
        await asyncio.to_thread(wait_until, lambda: valkey.keys() == [], "the windows are gone")

    assert kept == [
        b"license-server/rate-limit/validate/a/3/1/second",
        b"license-server/rate-limit/validate_key/01/2/1/second",
    ]


async def test_what_is_given_back_can_be_spent_again_by_every_server(valkey: LiveValkey) -> None:
    async with limiter(redis_url=valkey.url) as one, limiter(redis_url=valkey.url) as other:
        spent = await spend(one)
        await one.give_back(spent)

        assert (await spend(other)).used == 1


async def test_nothing_is_given_back_to_a_window_that_has_ended(valkey: LiveValkey) -> None:
    async with limiter(redis_url=valkey.url) as opened:
        spent = await spend(opened)

        await opened.give_back(spent._replace(ends_at=monotonic()))

        assert (await spend(opened)).used == 2


async def test_each_server_counts_on_alone_while_the_store_is_away_and_together_when_it_is_back(
    valkey: LiveValkey, caplog: pytest.LogCaptureFixture
) -> None:
    async with limiter(redis_url=valkey.url) as one, limiter(redis_url=valkey.url) as other:
        await spend(one)
        await spend(other)
        valkey.stop()

        alone = [await spend(each) for each in (one, one, other)]
        assert [(spent.used, spent.is_shared) for spent in alone] == [(2, False), (3, False), (3, False)]

        valkey.start()
        await until_shared(one)
        await until_shared(other)
        assert [(await spend(each)).used for each in (one, other)] == [1, 2]

    said = sorted(str(record.__dict__["event"]) for record in caplog.records if record.name == "app.limiter")
    assert said == ["rate_limit_store_away"] * 2 + ["rate_limit_store_back"] * 2


async def test_a_store_that_hangs_holds_nobody_up(valkey: LiveValkey) -> None:
    async with limiter(redis_url=valkey.url, rate_limit_validate="1000/minute") as opened:
        await spend(opened)
        valkey.pause()
        started_at = monotonic()

        together = await asyncio.gather(*(spend(opened) for _ in range(200)))
        first = monotonic() - started_at
        for _ in range(200):
            await spend(opened)
        later = monotonic() - started_at - first
        valkey.resume()
        await until_shared(opened)

    assert {one.is_shared for one in together} == {False}
    assert first < 10
    assert later < 5, "waiting for each would take 50 seconds"


async def test_a_store_that_only_reads_is_away(valkey: LiveValkey) -> None:
    async with limiter(redis_url=valkey.url) as opened:
        valkey.make_replica_of_nobody()

        assert not (await spend(opened)).is_shared


async def test_while_the_store_is_away_each_policy_does_what_was_set(valkey: LiveValkey) -> None:
    rules = "own,login=open,validate_key=closed"
    async with limiter(redis_url=valkey.url, rate_limit_store_away=rules) as opened:
        valkey.stop()

        assert [one.budget.policy for one in await opened.charge((VALIDATE, "a", 1), (LOGIN, "a", 1))] == [VALIDATE]
        with pytest.raises(LimitClosed):
            await opened.charge((VALIDATE, "a", 1), (KEY, b"k", 1))
        assert opened.look(VALIDATE, "a") is not None
        assert opened.look(LOGIN, "a") is None


async def test_a_server_starts_without_its_store(valkey: LiveValkey) -> None:
    valkey.stop()

    async with limiter(redis_url=valkey.url) as opened:
        assert [(await spend(opened)).used for _ in range(2)] == [1, 2]
