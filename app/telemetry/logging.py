"""The log: one JSON object a line on stdout, no secrets, the client's address last.

    log(logger, logging.INFO, "License issued", event="license.issued", license_id=license.id)

Plain `logging` calls with %-arguments and `extra=` come out the same way. Only lines of `access_logger` may
hold the word by which the operations guide counts requests; everywhere else it is written in lower case.
"""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from app.telemetry.error_marks import ErrorMark, mark_of
from app.telemetry.values import (
    Allowance,
    Own,
    Plain,
    plain_member,
    plain_name,
    plain_stack,
    plain_text,
    printable,
    timestamp,
)

VERBOSE = 5
LEVELS = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "verbose": VERBOSE,
}
NO_EVENT = "log"
COLOURS = {"ERROR": "31;1", "WARN": "33", "INFO": "32", "DEBUG": "36", "VERBOSE": "90"}

request_id_var: ContextVar[str | None] = ContextVar("request_id", default=None)
access_logger = logging.getLogger("app.access")

_REQUEST_WORD = "HTTP"
_UNCAUGHT = logging.getLogger("app.uncaught")
_SERVER_LOGGERS = (
    "uvicorn",
    "uvicorn.error",
    "uvicorn.asgi",
    "alembic",
    "sqlalchemy",
    "asyncio",
    "py.warnings",
)
_TALKATIVE_LOGGERS = ("sqlalchemy", "httpx", "httpcore", "urllib3", "botocore", "aiosmtplib")
_OWN_MEMBERS = frozenset({"timestamp", "level", "message", "event", "request_id", "exception", "stack", "ip"})
_NO_FIELDS = frozenset({*RESERVED_ATTRS, "taskName", "color_message", "fields"})

Fields = dict[str, Plain]
ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]
ErrorListener = Callable[[ErrorMark], None]
_error_listeners: list[ErrorListener] = []


def log(
    logger: logging.Logger,
    level: int,
    message: str,
    /,
    *,
    event: str = NO_EVENT,
    exc_info: BaseException | ExceptionInfo | bool | None = None,
    **fields: object,
) -> None:
    """Write one line; the fields become its members, `ip` the last one."""
    if logger.isEnabledFor(level):
        logger.log(level, message, exc_info=exc_info, extra={"event": event, "fields": fields})


def configure_logging(level: str, log_format: str | None, stream: TextIO | None = None) -> None:
    """Send every line of this process, also of libraries and uncaught exceptions, to the stream (stdout).

    The format is `json` or `console`; None means console on a terminal, else json. A second call replaces
    what the first one did.
    """
    stream = stream or sys.stdout
    if log_format is None:
        log_format = "console" if stream.isatty() else "json"
    if log_format not in ("json", "console"):
        raise ValueError(f"LOG_FORMAT is json or console, not {log_format!r}")

    handler = LineHandler(stream)
    handler.setFormatter(JsonLineFormatter() if log_format == "json" else ConsoleFormatter())
    logging.getLogger().handlers[:] = [handler]
    _gather_loggers()
    set_level(level)
    _catch_the_uncaught()


def set_level(level: str) -> None:
    """Change what is written from now on: error, warn, info, debug or verbose, in any case."""
    number = LEVELS.get(level.lower())
    if number is None:
        raise ValueError(f"LOG_LEVEL is one of {', '.join(LEVELS)}, not {level!r}")

    logging.addLevelName(VERBOSE, "VERBOSE")
    logging.getLogger().setLevel(number)
    # uvicorn reads the level of its own logger, not the effective one, for every connection
    logging.getLogger("uvicorn.error").setLevel(number)
    for name in _TALKATIVE_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO if number == VERBOSE else max(number, logging.WARNING))


def current_level() -> str:
    """The name of the level that is in force."""
    number = logging.getLogger().level
    return next((name for name, level in LEVELS.items() if level <= number), "verbose")


@contextmanager
def errors_told_to(listener: ErrorListener) -> Iterator[None]:
    """Give the mark of every error line to the listener, too, meanwhile; it is called in the thread that logs."""
    _error_listeners.append(listener)
    try:
        yield
    finally:
        _error_listeners.remove(listener)


class LineHandler(logging.StreamHandler[TextIO]):
    """Writes lines; one that cannot be written (closed pipe, full disk) never disturbs the work."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, and tell of errors."""
        super().emit(record)
        if record.levelno >= logging.ERROR:
            _tell_error(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the library's name)
        """Let the line go: there is no other place to tell."""


class JsonLineFormatter(JsonFormatter):
    """Formats a record as one JSON object in ASCII with the contract's members in the contract's order."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of this record; never raises and never holds a line break."""
        try:
            members = line_members(record)
        except Exception as error:  # a record that cannot be read must not vanish without a trace
            members = {
                "timestamp": timestamp(datetime.now(UTC)),
                "level": level_name(record.levelno),
                "message": f"[unprintable record: {type(error).__name__}]",
                "event": NO_EVENT,
            }
        return self.serialize_log_record(dict(members))

    def serialize_log_record(self, log_data: dict[str, Any]) -> str:
        """Strict JSON: no NaN, and every character beyond ASCII escaped."""
        return str(self.json_serializer(log_data, allow_nan=False, ensure_ascii=True))


class ConsoleFormatter(logging.Formatter):
    """Formats a record for a person at a terminal, in colours, with nothing that could steer the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level and message, then the fields as name=value, then the stack trace as it is."""
        members = line_members(record)
        level = str(members.pop("level"))
        moment = str(members.pop("timestamp"))[11:23]
        message = printable(members.pop("message"))
        stacks = [str(members.pop(name)) for name in ("exception", "stack") if name in members]
        if members["event"] == NO_EVENT:
            del members["event"]

        fields = " ".join(f"{_dim(printable(name))}={printable(value)}" for name, value in members.items())
        line = f"{_dim(moment)} \x1b[{COLOURS[level]}m{level:<7}\x1b[0m {message}  {fields}"
        return "\n".join([line.rstrip(), *(printable(text) for stack in stacks for text in stack.splitlines())])


def line_members(record: logging.LogRecord) -> Fields:
    """What a line says, in order: when, how grave, what, event, request, the fields, and `ip` last."""
    allowance = Allowance()
    given = _given_fields(record)
    members: Fields = {
        "timestamp": timestamp(datetime.fromtimestamp(record.created, UTC)),
        "level": level_name(record.levelno),
        "message": record.msg if type(record.msg) is Own else allowance.take(plain_text(_message(record))),
        "event": plain_member("event", given.pop("event", None) or NO_EVENT, allowance),
    }
    request_id = given.pop("request_id", None) or request_id_var.get()
    if request_id is not None:
        members["request_id"] = plain_member("request_id", request_id, allowance)
    ip = given.pop("ip", None)

    for name, text in _stacks(record):
        members[name] = allowance.take(plain_stack(text))
    _add_fields(members, given, allowance)
    if record.name != access_logger.name:
        members = {_lower(name): _without_request_word(value) for name, value in members.items()}
    if ip is not None:
        members["ip"] = "".join(str(plain_member("ip", ip, Allowance())).split())
    return members


def level_name(number: int) -> str:
    """One of the five names of the contract, also for numbers between the levels."""
    if number >= logging.ERROR:
        return "ERROR"
    if number >= logging.WARNING:
        return "WARN"
    if number >= logging.INFO:
        return "INFO"
    return "DEBUG" if number >= logging.DEBUG else "VERBOSE"


def _given_fields(record: logging.LogRecord) -> dict[object, object]:
    """What the caller gave beside the message: `fields`, plain `extra=` members, a dict as message."""
    given: dict[object, object] = {name: value for name, value in vars(record).items() if name not in _NO_FIELDS}
    fields = vars(record).get("fields")
    if type(fields) is dict:
        given.update(fields)
    elif fields is not None:
        given["fields"] = fields
    if type(record.msg) is dict:
        given.update(record.msg)
    return given


def _tell_error(record: logging.LogRecord) -> None:
    try:
        kind, _, trace = record.exc_info or (None, None, None)
        mark = mark_of(_given_fields(record).get("event", NO_EVENT), record.name, kind, trace)
    except Exception:  # what cannot be read is no constant of ours, and its line is written
        mark = ErrorMark(NO_EVENT, None, record.name)
    for tell in _error_listeners:
        tell(mark)


def _message(record: logging.LogRecord) -> str:
    """The message with its arguments; what cannot be joined is shown side by side."""
    if type(record.msg) is dict:
        return ""
    if not record.args:
        return _shown(record.msg)
    try:
        return record.getMessage()
    except Exception:  # a wrong format string is a defect of the caller, its line is still wanted
        return f"{_shown(record.msg)} {_shown(record.args)}"


def _shown(value: object) -> str:
    """The value as text, also if its own methods fail."""
    if type(value) is str:
        return value
    return str(plain_member("message", value, Allowance()))


def _stacks(record: logging.LogRecord) -> list[tuple[str, str]]:
    stacks = []
    if record.exc_info and record.exc_info[0] is not None:
        stacks.append(("exception", _formatted(logging.Formatter().formatException, record.exc_info)))
    elif record.exc_text:
        stacks.append(("exception", record.exc_text))
    if record.stack_info:
        stacks.append(("stack", str(record.stack_info)))
    return stacks


def _formatted(form: Callable[[Any], str], exc_info: object) -> str:
    try:
        return form(exc_info)
    except Exception as error:  # an exception that cannot be shown is still worth its line
        return f"[unprintable exception: {type(error).__name__}]"


def _add_fields(members: Fields, given: dict[object, object], allowance: Allowance) -> None:
    for name, value in given.items():
        if allowance.members < 0:
            return
        text = plain_name(name)
        while text in _OWN_MEMBERS or text in members:
            text += "_"
        members[allowance.take(text)] = plain_member(name, value, allowance)


def _without_request_word(value: Plain) -> Plain:
    if isinstance(value, str):
        return _lower(value)
    if isinstance(value, list):
        return [_without_request_word(item) for item in value]
    if isinstance(value, dict):
        return {_lower(name): _without_request_word(item) for name, item in value.items()}
    return value


def _lower(text: str) -> str:
    return text.replace(_REQUEST_WORD, _REQUEST_WORD.lower())


def _dim(text: str) -> str:
    return f"\x1b[2m{text}\x1b[0m"


def _gather_loggers() -> None:
    """Let the libraries' loggers speak through the root; our own access line replaces uvicorn's."""
    for name in _SERVER_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.disabled = False
        logger.setLevel(logging.NOTSET)
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False
    access.disabled = True
    logging.captureWarnings(True)


def _catch_the_uncaught() -> None:
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        log(_UNCAUGHT, logging.INFO, "Interrupted", event="interrupted")
    else:
        _log_error("Unhandled exception", (kind, error, trace))


def _log_uncaught_in_thread(hook: threading.ExceptHookArgs) -> None:
    if not issubclass(hook.exc_type, SystemExit):
        error = hook.exc_value or hook.exc_type()
        _log_error("Unhandled exception in a thread", (hook.exc_type, error, hook.exc_traceback))


def _log_unraisable(hook: "sys.UnraisableHookArgs") -> None:
    error = hook.exc_value or hook.exc_type()
    _log_error(hook.err_msg or "Exception ignored", (hook.exc_type, error, hook.exc_traceback))


def _log_error(message: str, exc_info: ExceptionInfo) -> None:
    log(_UNCAUGHT, logging.ERROR, message, event="unhandled_exception", exc_info=exc_info)
