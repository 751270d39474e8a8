"""The words of JSON bodies: camelCase outside, bounded values, nothing silently ignored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    EmailStr,
    Field,
    PlainSerializer,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

from app.domain.words import (
    MAX_LIMIT_NUMBER,
    MAX_LONG_TEXT_LENGTH,
    MAX_TEXT_LENGTH,
    PRODUCT_ID,
    TIER,
    YEARS,
    require_printable,
    require_storable,
)
from app.passwords import MAX_LENGTH, MIN_LENGTH

MAX_FEATURES_BYTES = 16_384
MAX_BIGINT = 2**63 - 1
MAX_DEPTH = 8

Item = TypeVar("Item")


class Wish(BaseModel):
    """A body that somebody sends; a member that we do not know is an error, never ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class Out(BaseModel):
    """A body that we answer with."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class PageOut(Out, Generic[Item]):
    """A page of a list; `nextCursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None


def _in_range(moment: datetime) -> datetime:
    if not YEARS[0] <= moment.year <= YEARS[1]:
        raise ValueError(f"must lie between the years {YEARS[0]} and {YEARS[1]}")
    return moment.astimezone(UTC)


def _storable(features: dict[str, Any]) -> dict[str, Any]:
    _require_storable(features, MAX_DEPTH)
    text = json.dumps(features, allow_nan=False, ensure_ascii=False)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ValueError("must not contain broken characters") from error
    if size > MAX_FEATURES_BYTES:
        raise ValueError(f"must not be larger than {MAX_FEATURES_BYTES} bytes")
    return features


def _require_storable(value: object, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"must not be nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, str) and "\0" in value:
        raise ValueError("must not contain NUL")
    inner = (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inner:
        _require_storable(part, depth - 1)


def _milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _written(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a text such as 2030-12-31T18:00:00Z")
    return value


def _bare_address(value: object) -> object:
    if isinstance(value, str) and "<" in value:
        raise ValueError("must be an address alone, without a name")
    return value


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TEXT_LENGTH),
    AfterValidator(require_printable),
]
LongText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LONG_TEXT_LENGTH),
    AfterValidator(require_printable),
]
Fingerprint = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LONG_TEXT_LENGTH),
    AfterValidator(require_storable),
]
"""What a machine calls itself; only its hash is kept, so line breaks and the like are welcome."""
Slug = Annotated[str, StringConstraints(pattern=PRODUCT_ID)]
TierName = Annotated[str, StringConstraints(pattern=TIER)]
Limit = Annotated[int, Field(strict=True, ge=0, le=MAX_LIMIT_NUMBER)]
BigLimit = Annotated[int, Field(strict=True, ge=0, le=MAX_BIGINT)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_range)]
Email = Annotated[EmailStr, BeforeValidator(_bare_address)]
NewPassword = Annotated[
    str, StringConstraints(min_length=MIN_LENGTH, max_length=MAX_LENGTH), AfterValidator(require_storable)
]
"""A password that somebody chooses; `require_strong_password` looks at the rest."""
ShownPassword = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Features = Annotated[dict[Text, Any], AfterValidator(_storable)]
OutMoment = Annotated[datetime, PlainSerializer(_milliseconds, return_type=str)]
