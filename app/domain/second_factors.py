"""Second factors: codes that a device shows for half a minute (TOTP, RFC 6238), and recovery codes in its place."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime

from pyotp import TOTP

from app.domain.license_keys import ALPHABET

ISSUER = "iTechSmart License Server"
MAX_CODE_LENGTH = 64
RECOVERY_CODES = 10

_STEPS_OF_GRACE = (-1, 0, 1)
"""A code is also taken 30 seconds before and after its time: clocks differ (RFC 6238, 5.2)."""
_GROUPS = 4
_GROUP_LENGTH = 4
_SEPARATORS = str.maketrans("", "", "- \t")


def setup_uri(secret: str, account: str) -> str:
    """What a device reads from a QR code to show the codes of this secret."""
    return TOTP(secret).provisioning_uri(name=account, issuer_name=ISSUER)


def matching_step(secret: str, code: str, *, last_step: int | None, now: datetime) -> int | None:
    """The time step that this code is of, or None: it is wrong, or of a step up to the last one that was used."""
    totp = TOTP(secret)
    given = bare_code(code).encode()
    found = None
    for distance in _STEPS_OF_GRACE:
        step = totp.timecode(now) + distance
        is_same = hmac.compare_digest(totp.generate_otp(step).encode(), given)
        if is_same and (last_step is None or step > last_step):
            found = step
    return found


def make_recovery_code(choose: Callable[[str], str]) -> str:
    """A new recovery code of 80 random bits; `choose` picks one character of a string (`secrets.choice`)."""
    groups = ("".join(choose(ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)


def bare_code(typed: str) -> str:
    """The code however it was typed: without spaces and dashes, in capitals."""
    return typed.translate(_SEPARATORS).upper()
