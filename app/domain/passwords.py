"""Which passwords are too easy to guess; length counts, and no rule asks for special characters (NIST SP 800-63B)."""

from __future__ import annotations

from app.domain.errors import WeakPassword

FEWEST_CHARACTERS = 5
"""Different ones: repeated patterns such as abcabcabcabc are the first that are tried."""

_OBVIOUS = (
    "password",
    "passwort",
    "qwertyuiop",
    "qwertzuiop",
    "asdfghjkl",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "iloveyou",
    "letmein",
    "welcome",
    "administrator",
    "admin",
    "changeme",
    "itechsmart",
    "licenseserver",
    "correcthorsebatterystaple",
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "09876543210987654321",
)


def require_strong_password(password: str, email: str) -> None:
    """Raise WeakPassword for the e-mail address, for an obvious word and little else, and for a short pattern."""
    plain = "".join(character for character in password.lower() if character.isalnum())
    address = email.lower()
    if password.lower() == address or plain in (_alphanumeric(address), _alphanumeric(address.partition("@")[0])):
        raise WeakPassword("A password must not be the e-mail address; take a sentence, or let a program make one.")
    if len(set(password.lower())) < FEWEST_CHARACTERS:
        raise WeakPassword(f"A password needs at least {FEWEST_CHARACTERS} different characters; take a sentence.")
    if len(_without_obvious(plain)) < FEWEST_CHARACTERS:
        raise WeakPassword("This password is among the first that are tried; take a sentence nobody else would.")


def _without_obvious(plain: str) -> str:
    """What is left of a password without obvious words, whole or a piece of one."""
    for word in _OBVIOUS:
        plain = plain.replace(word, "")
        if len(plain) >= FEWEST_CHARACTERS and plain in word:
            return ""
    return plain


def _alphanumeric(text: str) -> str:
    return "".join(character for character in text if character.isalnum())
