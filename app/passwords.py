"""Passwords: argon2id, bcrypt for imported ones; computed off the event loop, and never more than a few at once."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import argon2
import bcrypt

HASHER = argon2.PasswordHasher()
MIN_LENGTH = 12
MAX_LENGTH = 200
AT_ONCE = 2
MAX_IN_LINE = 20

_BCRYPT_HASH = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
_BCRYPT_BYTES = 72
_MAX_BCRYPT_COST = 14
_MAX_ARGON2_KIB = 262_144
_MAX_ARGON2_KIB_IN_ALL = 1_048_576
_MAX_ARGON2_LANES = 64

Result = TypeVar("Result")


class TooManyWaiting(Exception):
    """More passwords wait to be checked than can be in a second or two."""


class Passwords:
    """Hashes and checks passwords; two at a time and few in line, so that a flood of logins can't starve the server."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or HASHER
        self._threads = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="passwords")
        self._in_line = 0
        self._decoy = _decoy(self._hasher)

    async def hash(self, password: str) -> str:
        """The argon2id hash of a password, with its parameters and salt; raises TooManyWaiting."""
        return await self._compute(self._hasher.hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password fits; without a hash (unknown account) it takes as long and is False.

        Raises TooManyWaiting.
        """
        looked_at = self._decoy if password_hash is None else password_hash
        fits = await self._compute(self._fits, looked_at, password)
        return fits and password_hash is not None

    def is_renewable(self, password_hash: str) -> bool:
        """Whether the hash was made in another way than we would make it now: by bcrypt, or with other parameters."""
        try:
            return self._hasher.check_needs_rehash(password_hash)
        except argon2.exceptions.InvalidHashError:
            return True

    async def _compute(self, work: Callable[..., Result], *arguments: str) -> Result:
        if self._in_line >= MAX_IN_LINE:
            raise TooManyWaiting
        self._in_line += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._in_line -= 1

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            if _BCRYPT_HASH.fullmatch(password_hash):
                return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], password_hash.encode())
            return self._hasher.verify(password_hash, password)
        except (argon2.exceptions.VerificationError, ValueError):  # it does not fit, or is no hash at all
            return False

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)


@cache
def _decoy(hasher: argon2.PasswordHasher) -> str:
    """The hash of a password that nobody has; computed once a process, for it takes as long as any other."""
    return hasher.hash(secrets.token_urlsafe())


def is_importable(password_hash: str) -> bool:
    """Whether passwords can be checked against this hash: argon2 or bcrypt, in some seconds and 256 MiB at most."""
    found = _BCRYPT_HASH.fullmatch(password_hash)
    if found is not None:
        return int(found["cost"]) <= _MAX_BCRYPT_COST
    try:
        costs = argon2.extract_parameters(password_hash)
    except argon2.exceptions.InvalidHashError:
        return False
    return (
        costs.memory_cost <= _MAX_ARGON2_KIB
        and costs.memory_cost * costs.time_cost <= _MAX_ARGON2_KIB_IN_ALL
        and costs.parallelism <= _MAX_ARGON2_LANES
    )
