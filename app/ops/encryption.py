"""The change of the encryption key: what old keys encrypted is encrypted anew with the first one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from app.db.engine import Database
from app.db.queries import encryption
from app.domain.errors import EncryptionKeyMissing
from app.vault import Vault, WrongKey

BATCH = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: values looked at, those of an old key among them, those that no key opens."""

    seen: int = 0
    outdated: int = 0
    unreadable: int = 0

    def __add__(self, other: Progress) -> Progress:
        return Progress(self.seen + other.seen, self.outdated + other.outdated, self.unreadable + other.unreadable)


async def count_values(database: Database) -> int:
    """How many encrypted values there are."""
    async with database.transaction() as tx:
        return sum([await encryption.count_encrypted(tx, place) for place in encryption.encrypted_columns()])


async def reencrypt(database: Database, vault: Vault, *, may_change: bool) -> AsyncIterator[Progress]:
    """Look at everything in small transactions, and bring what old keys encrypted to the first one.

    Servers go on meanwhile. Yields what each batch added; without `may_change` it only looks. Stopped half way, it
    has lost nothing and is simply run again. A value that no key opens is left as it is.
    """
    for place in encryption.encrypted_columns():
        after = None
        while True:
            async with database.transaction() as tx:
                rows = await encryption.list_encrypted(tx, place, after=after, limit=BATCH)
                progress = Progress(seen=len(rows))
                for identity, token in rows:
                    if vault.is_current(token):
                        continue
                    try:
                        renewed = vault.encrypt(vault.decrypt(token))
                    except WrongKey:
                        progress += Progress(unreadable=1)
                        continue
                    progress += Progress(outdated=1)
                    if may_change:
                        await encryption.replace_encrypted(tx, place, identity, token, renewed)
            yield progress
            if len(rows) < BATCH:
                break
            after = rows[-1][0]


def require_readable(progress: Progress) -> None:
    """Raise EncryptionKeyMissing when something could not be opened."""
    if progress.unreadable:
        raise EncryptionKeyMissing(
            f"{progress.unreadable} values were encrypted with a key that is not in ENCRYPTION_KEY; add that key."
        )
