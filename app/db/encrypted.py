"""What is stored encrypted, opened."""

from __future__ import annotations

from app.db.queries import audit_chain
from app.db.session import Session
from app.domain.errors import EncryptionKeyMissing
from app.vault import Vault, WrongKey


def decrypted(vault: Vault, encrypted: bytes) -> str:
    """The text that was stored; raises EncryptionKeyMissing when we were not given the key it was encrypted with."""
    try:
        return vault.decrypt(encrypted)
    except WrongKey as error:
        raise EncryptionKeyMissing from error


async def find_chain_key(tx: Session, vault: Vault) -> bytes | None:
    """The key that seals the audit trail, None before the first sealing; raises EncryptionKeyMissing."""
    secret = await audit_chain.find_chain_key(tx)
    return None if secret is None else bytes.fromhex(decrypted(vault, secret.value_encrypted))
