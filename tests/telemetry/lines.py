"""Lines as the server would write them, without a server."""

import io
import json
import logging
from collections.abc import Mapping
from typing import Any, TextIO

from app.telemetry.logging import JsonLineFormatter, LineHandler

JsonObject = dict[str, Any]


def write_line(
    message: object,
    *args: object,
    level: int = logging.INFO,
    name: str = "app.test",
    extra: Mapping[str, object] | None = None,
    exc_info: BaseException | None = None,
) -> str:
    """What one plain logging call writes to the stream."""
    stream = io.StringIO()
    _logger(name, stream).log(level, message, *args, extra=extra, exc_info=exc_info)
    return stream.getvalue()


def write_record(record: logging.LogRecord) -> str:
    """What a record that was made elsewhere writes to the stream."""
    stream = io.StringIO()
    _logger(record.name, stream).handle(record)
    return stream.getvalue()


def read_line(text: str) -> JsonObject:
    """The one JSON object of the text; fails on a second line, a repeated member and a NaN."""
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1
    assert text.isascii()
    members: JsonObject = json.loads(text, object_pairs_hook=_unique, parse_constant=_unknown_constant)
    return members


def _logger(name: str, stream: TextIO) -> logging.Logger:
    handler = LineHandler(stream)
    handler.setFormatter(JsonLineFormatter())
    logger = logging.Logger(name)
    logger.addHandler(handler)
    return logger


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    assert len(members) == len(pairs)
    return members


def _unknown_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")
