"""Passwords: hashed off the event loop, two at a time, and no account is told from another by time."""

from __future__ import annotations

import threading
from asyncio import gather
from collections.abc import Iterator
from typing import Any

import argon2
import bcrypt
import pytest

from app.passwords import Passwords, is_importable

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class WatchedHasher(argon2.PasswordHasher):
    """Counts who is inside, and what was verified; three who come together would be noticed."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.inside = 0
        self.most_inside = 0
        self.verified: list[str] = []
        self._lock = threading.Lock()
        self._third = threading.Barrier(3)

    def verify(self, hash: Any, password: Any) -> Any:
        with self._lock:
            self.verified.append(hash)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        try:
            self._third.wait(timeout=0.05)
        except threading.BrokenBarrierError:
            self._third.reset()
        try:
            return super().verify(hash, password)
        finally:
            with self._lock:
                self.inside -= 1


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(CHEAP)
    yield passwords
    passwords.close()


async def test_a_password_fits_its_hash_and_no_other_does(passwords: Passwords) -> None:
    password_hash = await passwords.hash("correct horse battery")

    assert await passwords.verify(password_hash, "correct horse battery") is True
    assert await passwords.verify(password_hash, "correct horse batterie") is False


async def test_the_same_password_never_has_the_same_hash(passwords: Passwords) -> None:
    first, second = await gather(passwords.hash("correct horse"), passwords.hash("correct horse"))

    assert first != second
    assert first.startswith("$argon2id$")


@pytest.mark.parametrize("password_hash", ["", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "\0", "ü"])
async def test_a_hash_that_is_none_fits_nothing(passwords: Passwords, password_hash: str) -> None:
    assert await passwords.verify(password_hash, "a password that nobody has") is False


async def test_a_bcrypt_hash_from_elsewhere_fits_its_password_alone(passwords: Passwords) -> None:
    imported = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()

    assert await passwords.verify(imported, "correct horse") is True
    assert await passwords.verify(imported, "correct house") is False
    assert await passwords.verify(imported, "correct \ud800") is False


async def test_hashes_of_another_kind_or_strength_are_renewable(passwords: Passwords) -> None:
    weaker = argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("correct horse")

    assert passwords.is_renewable(bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()) is True
    assert passwords.is_renewable(weaker) is True
    assert passwords.is_renewable(await passwords.hash("correct horse")) is False


def test_only_hashes_that_can_be_checked_in_time_are_importable() -> None:
    bcrypt_hash = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()

    assert is_importable(bcrypt_hash)
    assert is_importable(CHEAP.hash("correct horse"))
    assert not is_importable(bcrypt_hash.replace("$04$", "$15$"))
    assert not is_importable("5f4dcc3b5aa765d61d8327deb882cf99")


@pytest.mark.parametrize("costs", ["m=262145,t=1,p=1", "m=65536,t=17,p=1", "m=65536,t=3,p=65", "m=8,t=4294967295,p=1"])
def test_a_hash_that_would_hold_the_server_up_is_not_taken(costs: str) -> None:
    theirs = argon2.PasswordHasher().hash("correct horse")

    assert is_importable(theirs)
    assert not is_importable(theirs.replace("m=65536,t=3,p=4", costs))


async def test_at_most_two_passwords_are_looked_at_at_a_time() -> None:
    hasher = WatchedHasher()
    passwords = Passwords(hasher)
    password_hash = CHEAP.hash("correct horse")

    answers = await gather(*(passwords.verify(password_hash, "correct horse") for _ in range(6)))

    assert answers == [True] * 6
    assert hasher.most_inside == 2
    passwords.close()


async def test_an_unknown_account_takes_the_same_way_and_fits_nothing() -> None:
    hasher = WatchedHasher()
    passwords = Passwords(hasher)

    assert await passwords.verify(None, "a password that nobody has") is False

    [decoy] = hasher.verified
    assert argon2.extract_parameters(decoy) == argon2.extract_parameters(hasher.hash("x"))
    passwords.close()


async def test_passwords_of_the_product_are_argon2id_of_at_least_the_rfc_9106_low_memory_profile() -> None:
    passwords = Passwords()

    parameters = argon2.extract_parameters(await passwords.hash("correct horse"))

    assert parameters.type is argon2.Type.ID
    assert (parameters.memory_cost >= 64 * 1024, parameters.time_cost >= 3) == (True, True)
    passwords.close()


async def test_a_flood_is_refused_at_once() -> None:
    passwords = Passwords(CHEAP)

    answers = await gather(*(passwords.verify(None, "guess") for _ in range(100)), return_exceptions=True)
    passwords.close()

    assert sorted({type(answer).__name__ for answer in answers}) == ["TooManyWaiting", "bool"]
    assert answers.count(False) == 20
