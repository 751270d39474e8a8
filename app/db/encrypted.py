"""What is stored encrypted, opened."""

from __future__ import annotations

from app.domain.errors import EncryptionKeyMissing
from app.vault import Vault, WrongKey


def decrypted(vault: Vault, encrypted: bytes) -> str:
    """The text that was stored; raises EncryptionKeyMissing when we were not given the key it was encrypted with."""
    try:
        return vault.decrypt(encrypted)
    except WrongKey as error:
        raise EncryptionKeyMissing from error
