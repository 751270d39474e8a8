"""Secrets at rest: encrypted with the first of the installation's keys, readable with any of them."""

from __future__ import annotations

import hmac
import os
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class VaultError(Exception):
    """The encryption keys can't be read or used."""


class WrongKey(VaultError):
    """None of the keys opens what was encrypted."""


class Vault:
    """Encrypts with the first key and decrypts with all: keys are rotated by putting a new one in front."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._newest = Fernet(keys[0])
        self._keys = keys

    def encrypt(self, text: str) -> bytes:
        """The text, encrypted and authenticated."""
        return self._fernet.encrypt(text.encode())

    def decrypt(self, token: bytes) -> str:
        """The text that was encrypted; raises WrongKey when none of the keys fits."""
        try:
            return self._fernet.decrypt(token).decode()
        except InvalidToken as error:
            raise WrongKey("None of the keys in ENCRYPTION_KEY opens this; add the key it was made with.") from error

    def sign(self, text: str) -> str:
        """What proves that somebody who has the first key wrote this; HMAC-SHA256, in hex."""
        return _mac(self._keys[0], "signature", text)

    def is_signed(self, text: str, signature: str) -> bool:
        """Whether `sign` gave this for the text, with any of the keys."""
        return any(hmac.compare_digest(_mac(key, "signature", text), signature) for key in self._keys)

    def fingerprints(self) -> tuple[str, ...]:
        """What tells the keys apart and gives none of them away, the first key's first."""
        return tuple(_mac(key, "fingerprint", "")[:16] for key in self._keys)

    def is_current(self, token: bytes) -> bool:
        """Whether this was encrypted with the first key."""
        try:
            self._newest.decrypt(token)
        except InvalidToken:
            return False
        return True


def _mac(key: str, purpose: str, text: str) -> str:
    return hmac.digest(key.encode(), f"itechsmart {purpose}\0{text}".encode(), "sha256").hex()


def make_key() -> str:
    """A new key, as ENCRYPTION_KEY wants it."""
    return Fernet.generate_key().decode()


def keys_from_text(text: str) -> tuple[str, ...]:
    """The keys of a comma-separated list."""
    return tuple(key.strip() for key in text.split(",") if key.strip())


def read_or_make_key_file(path: Path) -> tuple[str, ...]:
    """The keys in the file; a missing file is made with a new key, readable by its owner alone.

    Raises VaultError when the file can't be read, written or understood.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_once(path)
        keys = keys_from_text(path.read_text())
        Vault(keys)
    except (OSError, ValueError) as error:
        raise VaultError(f"The encryption key file {path} in DATA_DIR is not usable: {error}.") from error
    return keys


def _make_once(path: Path) -> None:
    if path.exists():
        return
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(make_key() + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)
