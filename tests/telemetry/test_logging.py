"""Every line is one JSON object with the contract's members in the contract's order, whatever is logged."""

import io
import json
import logging
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.telemetry.logging import (
    VERBOSE,
    access_logger,
    configure_logging,
    current_level,
    log,
    request_id_var,
    set_level,
)
from tests.telemetry.lines import read_line, write_line, write_record

HEAD = ["timestamp", "level", "message", "event"]
HOSTILE_CHARACTERS = st.one_of(
    st.characters(),
    st.characters(categories=["Cs", "Cc", "Zl", "Zp", "Cf"]),
    st.sampled_from('"\\{}[]%\n\r\x00\x1b'),
)
HOSTILE_TEXT = st.text(HOSTILE_CHARACTERS) | st.sampled_from(
    [
        '\n{"level": "ERROR"}\n',
        '"}\n{"',
        "\u2028\u2029\x85\x0b\x0c\x1c",
        "\x1b[2J\x1b]0;x\x07",
        "\ud800",
        "\ud83d\ude00",
        "x" * 100_000,
        "%s%d%(x)s",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.datetimes() | st.uuids()
HOSTILE_VALUE = st.recursive(
    SCALARS | HOSTILE_TEXT,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(HOSTILE_TEXT | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


class Rude:
    """An object that cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Ruder(Rude):
    """An object that does not even tell its class."""

    __class__ = property(Rude.__repr__)

    def __bool__(self) -> bool:
        raise RuntimeError("no")


class Colour(StrEnum):
    """A closed set."""

    RED = "red"


@pytest.fixture
def logging_restored() -> Iterator[None]:
    """The process's logging as it was before the test."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:], level, sys.excepthook, threading.excepthook, sys.unraisablehook = before
    root.setLevel(level)
    logging.captureWarnings(False)


@given(message=HOSTILE_TEXT, value=HOSTILE_VALUE, name=HOSTILE_TEXT)
def test_hostile_message_names_and_values_make_one_valid_line(message: str, value: object, name: str) -> None:
    members = read_line(write_line(message, extra={"fields": {name: value, "ip": "192.0.2.7"}}))

    assert list(members)[:4] == HEAD
    assert list(members)[-1] == "ip"
    assert members["level"] == "INFO"
    assert members["event"] == "log"


@given(message=HOSTILE_TEXT, arguments=st.lists(HOSTILE_VALUE, max_size=3))
def test_wrong_arguments_still_make_one_valid_line(message: str, arguments: list[object]) -> None:
    members = read_line(write_line(message, *arguments))

    assert list(members)[:4] == HEAD


@given(name=HOSTILE_TEXT, value=HOSTILE_VALUE)
def test_plain_extra_makes_one_valid_line(name: str, value: object) -> None:
    record = logging.makeLogRecord({"msg": "x", "levelno": logging.INFO, f"x{name}": value})

    line = write_record(record)

    assert read_line(line)["message"] == "x"


@given(text=HOSTILE_TEXT)
def test_exception_with_hostile_text_is_one_valid_line(text: str) -> None:
    members = read_line(write_line("Failed", level=logging.ERROR, exc_info=ValueError(text)))

    assert members["level"] == "ERROR"
    assert members["exception"].startswith("ValueError")
    assert len(members["exception"]) < 8_100


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (2**63 - 1, 2**63 - 1),
        (b"\xff\x00a", "\\xff\x00a"),
        (Colour.RED, "red"),
        (timedelta(milliseconds=1500), 1.5),
        (datetime(2025, 11, 16, 17, 10, tzinfo=UTC), "2025-11-16T17:10:00.000Z"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (ValueError("x"), "ValueError: x"),
        ({1: {None: (2, 3)}}, {"1": {"None": [2, 3]}}),
        ("\ud800", "\\ud800"),
    ],
)
def test_every_kind_of_value_has_a_json_form(value: object, expected: object) -> None:
    members = read_line(write_line("x", extra={"fields": {"value": value}}))

    assert members["value"] == expected


def test_values_that_cannot_be_shown_are_named_as_such() -> None:
    fields = {"rude": Ruder(), "listed": [Rude()], "huge": 10**5000}

    members = read_line(write_line("x", extra={"fields": fields}))

    assert members["rude"] == "[unprintable]"
    assert members["listed"] == ["[unprintable]"]
    assert members["huge"].startswith("0x")


def test_record_that_cannot_be_read_is_still_told_of() -> None:
    members = read_line(write_line("x", level=logging.ERROR, extra={"event": Ruder()}))

    assert list(members) == HEAD
    assert (members["level"], members["message"]) == ("ERROR", "[unprintable record: RuntimeError]")


def test_recursive_value_ends() -> None:
    loop: list[object] = []
    loop.append(loop)

    assert read_line(write_line("x", extra={"fields": {"loop": loop}}))["loop"] == [[[[["[cut]"]]]]]


def test_line_is_bounded_whatever_its_fields_hold() -> None:
    wide = {f"name{n}": ["\U0001f600" * 10_000] * 1000 for n in range(1000)}

    line = write_line("x" * 1_000_000, extra={"fields": wide})

    assert read_line(line)["message"] == "x" * 2000 + " [cut]"
    assert len(line) < 16_000 * 12 + 20_000


def test_rude_message_and_arguments_make_a_line() -> None:
    assert read_line(write_line(Rude()))["message"] == "[unprintable]"
    assert read_line(write_line("a %s", Rude()))["message"] == "a %s ['[unprintable]']"


def test_wrong_arguments_are_shown_beside_the_message_and_nothing_is_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    members = read_line(write_line("%d licenses", "many", level=logging.WARNING))

    assert members["message"] == "%d licenses ['many']"
    assert capfd.readouterr() == ("", "")


def test_members_come_in_the_order_of_the_contract() -> None:
    token = request_id_var.set("018f2b1c-7abc-7def-8abc-abcdefabcdef")
    try:
        line = write_line(
            "x", extra={"ip": "192.0.2.7", "event": "license.issued", "fields": {"seats": 3, "plan": "a"}}
        )
    finally:
        request_id_var.reset(token)

    members = read_line(line)
    assert list(members) == [*HEAD, "request_id", "seats", "plan", "ip"]
    assert members["request_id"] == "018f2b1c-7abc-7def-8abc-abcdefabcdef"
    assert datetime.fromisoformat(members["timestamp"]).tzinfo == UTC
    assert len(members["timestamp"]) == len("2025-11-16T17:10:00.000Z")
    assert line.endswith('"ip": "192.0.2.7"}\n')


def test_fields_never_replace_the_own_members() -> None:
    fields = {"level": "LOUD", "message": "mine", "timestamp": 1, "exception": 2}

    members = read_line(write_line("x", extra={"fields": fields}))

    assert (members["level"], members["message"]) == ("INFO", "x")
    assert (members["level_"], members["message_"], members["timestamp_"]) == ("LOUD", "mine", 1)


def test_ip_is_one_word() -> None:
    assert write_line("x", extra={"ip": "1.2.3.4\n, forged"}).split()[-1] == '"1.2.3.4,forged"}'


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.CRITICAL, "ERROR"),
        (logging.ERROR, "ERROR"),
        (logging.WARNING, "WARN"),
        (logging.INFO, "INFO"),
        (logging.DEBUG, "DEBUG"),
        (VERBOSE, "VERBOSE"),
        (35, "WARN"),
        (1, "VERBOSE"),
    ],
)
def test_levels_have_five_names(level: int, name: str) -> None:
    assert read_line(write_line("x", level=level))["level"] == name


def test_only_access_lines_hold_the_word_that_counts_requests() -> None:
    extra = {"fields": {"HTTP": ["HTTP", {"HTTPS": "HTTP/1.1"}]}}

    assert "HTTP" not in write_line("Invalid HTTP request received.", extra=extra)
    assert "HTTP" not in write_line("x", exc_info=ValueError("HTTPException"), level=logging.ERROR)
    assert "HTTP/1.1" in write_line("GET / HTTP/1.1 200", name=access_logger.name)


def test_all_loggers_and_warnings_write_to_the_one_stream(logging_restored: None) -> None:
    stream = io.StringIO()
    configure_logging("info", None, stream)
    configure_logging("info", None, stream)

    logging.getLogger("uvicorn.error").info("Started %d", 1, extra={"color_message": "x"})
    logging.getLogger("uvicorn.access").info("GET /?licenseKey=x")
    logging.getLogger("alembic").info("Running")
    logging.getLogger("asyncio").error("Task failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    log(logging.getLogger("app"), logging.INFO, "Issued", event="license.issued", level="x", ip=None)

    lines = [read_line(line + "\n") for line in stream.getvalue().splitlines()]
    assert [line["message"].split()[0] for line in lines[:3]] == ["Started", "Running", "Task"]
    assert "DeprecationWarning: old" in lines[3]["message"]
    assert list(lines[4]) == [*HEAD, "level_"]
    assert lines[4]["event"] == "license.issued"
    assert list(lines[0]) == HEAD


def test_level_can_be_changed_while_running(logging_restored: None) -> None:
    stream = io.StringIO()
    configure_logging("WARN", "json", stream)
    logger = logging.getLogger("app.level")

    logger.info("not yet")
    set_level("verbose")
    logger.log(VERBOSE, "now")
    logger.log(VERBOSE - 1, "never")

    assert current_level() == "verbose"
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["now"]


def test_unknown_level_or_format_is_refused_by_name(logging_restored: None) -> None:
    with pytest.raises(ValueError, match="LOG_LEVEL is one of error, warn, info, debug, verbose, not 'loud'"):
        set_level("loud")
    with pytest.raises(ValueError, match="LOG_FORMAT is json or console, not 'xml'"):
        configure_logging("info", "xml")


def test_closed_stream_disturbs_nobody(logging_restored: None, capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    stream.close()

    logging.getLogger("app").info("lost")

    assert capfd.readouterr() == ("", "")


def test_console_shows_fields_and_never_steers_the_terminal(logging_restored: None) -> None:
    stream = io.StringIO()
    configure_logging("info", "console", stream)

    error = ValueError("\x1b[2J password=hunter2")
    log(logging.getLogger("app"), logging.ERROR, "a\x1b[2Jb\nc\u202e", event="e", exc_info=error, n=3)

    text = stream.getvalue()
    assert "\x1b[2J" not in text
    assert "a\\x1b[2Jb\\nc\\u202e" in text
    assert "\x1b[31;1mERROR" in text
    assert "hunter2" not in text
    assert "=3\n" in text


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ValueError('postgres://u:hunter2@h')", "Unhandled exception"),
        (
            "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()",
            "Unhandled exception in a thread",
        ),
        ("class A:\n    def __del__(self): 1 / 0\na = A()\ndel a", "Exception ignored"),
        ("raise KeyboardInterrupt", "Interrupted"),
    ],
)
def test_uncaught_exception_is_one_line_on_stdout_and_nothing_on_stderr(code: str, message: str) -> None:
    program = f"from app.telemetry.logging import configure_logging\nconfigure_logging('info', None)\n{code}"

    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)

    assert run.stderr == ""
    assert read_line(run.stdout)["message"].startswith(message)
    assert "hunter2" not in run.stdout
