"""Makes any Python value fit for a line: plain JSON types, bounded, without secrets, whatever it does."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from uuid import UUID

from app.telemetry.redaction import COVER, is_secret_name, redact

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]

STRING_LIMIT = 2_000
STACK_LIMIT = 8_000
NAME_LIMIT = 64
_SAFE_NAME = 16  # nothing that we hide is a word as short as this
_MEMBERS_LIMIT = 200
_CHARACTERS_LIMIT = 16_000
_DEPTH_LIMIT = 5
_STACK_WINDOW = 16_000
_MARGIN = 512  # a secret cut in half at the edge is not recognised: what lies this near to a raw cut is dropped
_CUT = " [cut]"
_UNPRINTABLE = "[unprintable]"
_INTEGER_LIMIT = 2**63


class Own(str):
    """Text made of this program's own words alone: nothing that a client wrote, so nothing to cover."""

    __slots__ = ()


class Allowance:
    """What one line may still spend on members and characters, so that no record makes an endless line."""

    __slots__ = ("characters", "members")

    def __init__(self) -> None:
        self.members = _MEMBERS_LIMIT
        self.characters = _CHARACTERS_LIMIT

    def take(self, text: str) -> str:
        """The text, or as much of it as is left to spend."""
        if len(text) > self.characters:
            text = text[: self.characters] + _CUT
        self.characters = max(self.characters - len(text), 0)
        return text


def plain_text(text: str, limit: int = STRING_LIMIT) -> str:
    """The text without secrets and lone surrogates, at most `limit` characters and a mark that it was cut."""
    text = str.__str__(text)
    raw = text[: limit + 2 * _MARGIN]
    covered = redact(_encodable(raw))
    if len(raw) < len(text):
        return covered[: min(limit, len(covered) - _MARGIN)] + _CUT
    return covered if len(covered) <= limit else covered[:limit] + _CUT


def plain_stack(text: str) -> str:
    """A stack trace without secrets; of a long one the beginning and, above all, the end."""
    if len(text) > 2 * _STACK_WINDOW:
        text = f"{text[:_STACK_WINDOW]}\n{_CUT}\n{text[-_STACK_WINDOW:]}"
    covered = redact(_encodable(text))
    if len(covered) <= STACK_LIMIT:
        return covered
    head = STACK_LIMIT // 4
    return f"{covered[:head]}\n{_CUT}\n{covered[head - STACK_LIMIT :]}"


def plain_name(name: object) -> str:
    """A member's name: short text, whatever was used as a key."""
    if type(name) is str and len(name) < _SAFE_NAME and name.isidentifier():
        return name if name.isascii() else _encodable(name)
    value = plain_value(name, Allowance())
    text = value if isinstance(value, str) else str(value)
    return plain_text(text, NAME_LIMIT)


def plain_member(name: object, value: object, allowance: Allowance) -> Plain:
    """The value of a member, covered altogether where the member's name says that it is a secret."""
    if isinstance(name, str) and is_secret_name(name) and value is not None:
        return COVER
    return plain_value(value, allowance)


def plain_value(value: object, allowance: Allowance, depth: int = 0) -> Plain:
    """The value in JSON's own types; never raises, whatever the value's methods do."""
    allowance.members -= 1
    if allowance.members < 0:
        return _CUT.strip()
    try:
        return _plain(value, allowance, depth)
    except Exception:  # a value that cannot be shown must not lose the line that tells of it
        return _UNPRINTABLE


def _plain(value: object, allowance: Allowance, depth: int) -> Plain:
    if value is None or value is True or value is False:
        return value
    if type(value) is Own:
        return str.__str__(value)
    if isinstance(value, str):
        return allowance.take(plain_text(value))
    if isinstance(value, int):
        return _plain_integer(value)
    if isinstance(value, float):
        return _plain_float(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _plain_list(value, allowance, depth + 1)
    if isinstance(value, Mapping):
        return _plain_mapping(value, allowance, depth + 1)
    return _plain_object(value, allowance, depth)


def _plain_integer(value: int) -> int | str:
    whole = int.__index__(value)
    return whole if -_INTEGER_LIMIT <= whole < _INTEGER_LIMIT else plain_text(hex(whole))


def _plain_float(value: float) -> float | str:
    exact = float.__float__(value)
    return exact if math.isfinite(exact) else float.__repr__(exact)


def _plain_list(items: Iterable[object], allowance: Allowance, depth: int) -> Plain:
    if depth > _DEPTH_LIMIT:
        return _CUT.strip()
    plain: list[Plain] = []
    for item in items:
        plain.append(plain_value(item, allowance, depth))
        if allowance.members < 0:
            break
    return plain


def _plain_mapping(members: Mapping[object, object], allowance: Allowance, depth: int) -> Plain:
    if depth > _DEPTH_LIMIT:
        return _CUT.strip()
    plain: dict[str, Plain] = {}
    for name, value in members.items():
        text = allowance.take(plain_name(name))
        plain[text] = COVER if is_secret_name(text) else plain_value(value, allowance, depth)
        if allowance.members < 0:
            break
    return plain


def _plain_object(value: object, allowance: Allowance, depth: int) -> Plain:
    if type(value) is UUID:
        return str(value)
    if isinstance(value, datetime) and value.tzinfo is not None:
        return timestamp(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return plain_value(value.value, allowance, depth + 1)
    if isinstance(value, bytes | bytearray):
        return allowance.take(plain_text(bytes(value).decode("utf-8", "backslashreplace")))
    if isinstance(value, BaseException):
        return allowance.take(plain_text(f"{type(value).__name__}: {value}"))
    return allowance.take(plain_text(str(value)))


def printable(value: object) -> str:
    """The value on one line of a terminal: control and direction characters are spelled out."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def timestamp(moment: datetime) -> str:
    """An aware moment as the contract writes it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encodable(text: str) -> str:
    """The text with lone surrogates spelled out: strict JSON readers refuse them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
