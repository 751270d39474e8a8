"""Passwords: argon2id, computed off the event loop, and never more than a few at once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2

MIN_LENGTH = 12
MAX_LENGTH = 200
AT_ONCE = 2
MAX_IN_LINE = 20

Result = TypeVar("Result")


class TooManyWaiting(Exception):
    """More passwords wait to be checked than can be in a second or two."""


class Passwords:
    """Hashes and checks passwords; two at a time and few in line, so that a flood of logins can't starve the server."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._threads = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="passwords")
        self._in_line = 0
        self._decoy = self._hasher.hash(secrets.token_urlsafe())

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
            return self._hasher.verify(password_hash, password)
        except (argon2.exceptions.VerificationError, ValueError):  # it does not fit, or is no hash at all
            return False

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
