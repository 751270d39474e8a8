"""What an error is recognised by: its event, its type and a place in the code, and nothing that anybody wrote."""

import re
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

_ROOT = Path(__file__).resolve().parents[1]
_EVENT = re.compile(r"[a-z][a-z0-9_. ]{0,63}")
_CODE = re.compile(r"[A-Za-z_][A-Za-z0-9_.<>:/-]{0,149}")
_UNKNOWN = "unknown"
_FRAMES_LIMIT = 10_000


class ErrorMark(NamedTuple):
    """The line's event, the full name of the exception's type where there is one, and where it comes from."""

    event: str
    exception: str | None
    place: str


def mark_of(event: object, logger_name: str, kind: type | None, trace: TracebackType | None) -> ErrorMark:
    """The mark of a line; an event that does not look like a constant is not believed."""
    text = str.__str__(event) if issubclass(type(event), str) else ""
    name = text if _EVENT.fullmatch(text) else _UNKNOWN
    exception = None if kind is None else _code(f"{kind.__module__}.{kind.__qualname__}")
    return ErrorMark(name, exception, _code(_innermost(trace) or logger_name))


def _innermost(trace: TracebackType | None) -> str | None:
    """The file and function of the last frame that is our own, or else of the last one."""
    own = last = None
    for _ in range(_FRAMES_LIMIT):
        if trace is None:
            break
        code = trace.tb_frame.f_code
        path = Path(code.co_filename)
        if path.is_relative_to(_ROOT):
            own = f"{_ROOT.name}/{path.relative_to(_ROOT).as_posix()}:{code.co_qualname}"
        last = f"{trace.tb_frame.f_globals.get('__name__', _UNKNOWN)}:{code.co_qualname}"
        trace = trace.tb_next
    return own or last


def _code(name: str) -> str:
    """The name as far as it is one that code has."""
    match = _CODE.match(name)
    return match[0] if match else _UNKNOWN
