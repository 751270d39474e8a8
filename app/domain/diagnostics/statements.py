"""Statements that cost most, and how a statement is shown: without anything that somebody typed in."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.domain.diagnostics.answers import Answer, unavailable
from app.domain.findings import Finding, Level

SLOW_MEAN_MILLISECONDS = 500.0
SLOW_CALLS = 20
MAX_STATEMENT_LENGTH = 2000
PLACEHOLDER = "?"

# Words are tokens of their own, so that a letter at their end is never taken for the beginning of a literal. Where
# nobody can tell where something ends (a backslash before the quote means the one or the other by a setting of the
# session; comments within comments), all that follows is covered.
_TOKEN = re.compile(
    r"""
    (?P<kept> "(?:[^"]|"")*(?:"|\Z) | \$\d+ )
    | (?P<comment> --[^\r\n]* | /\*(?:(?!/\*|\*/).)*(?:\*/|\Z) | /\*.* )
    | [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)
    | (?:[bBxXnN]|[uU]&)?'(?:[^'\\]|''|\\(?!'))*(?:'|\\'.*|\Z)
    | (?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=tag)|\Z)
    | (?<![\w$.])[+-]?(?:\d[\w]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?
    | (?P<word> [^\W\d][\w$]* )
    """,
    re.VERBOSE | re.DOTALL,
)
_SETTING = re.compile(
    r"""
    ( (?:\A|;)\s* (?:ALTER\s(?:ROLE|USER|DATABASE|SYSTEM)\s[^;]*?)? \bSET\s
      (?:SESSION\s|LOCAL\s)? (?:[\w.]|"[^"]*")+ \s* (?:=|\bTO\b) )
    (?: "[^"]*" | [^;"] )*
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SlowStatement:
    """A normalised statement of our database, with what it cost altogether, in calls and milliseconds."""

    query_id: str
    statement: str
    calls: int
    total_milliseconds: float
    mean_milliseconds: float
    max_milliseconds: float | None
    rows: int
    share: float


def without_literals(statement: str) -> str:
    """The statement, cut off or not, with `?` for strings, numbers and values of settings, and without comments."""
    covered = " ".join(_TOKEN.sub(_cover, statement).split())
    return _SETTING.sub(rf"\1 {PLACEHOLDER}", covered)[:MAX_STATEMENT_LENGTH]


def _cover(match: re.Match[str]) -> str:
    return match["kept"] or match["word"] or (" " if match["comment"] else PLACEHOLDER)


def judge(answer: Answer[SlowStatement]) -> list[Finding]:
    """Whether a statement that is asked often takes long each time."""
    slow = [one for one in answer.items if one.mean_milliseconds >= SLOW_MEAN_MILLISECONDS and one.calls >= SLOW_CALLS]
    if not slow:
        good = Finding("slow_queries", Level.GOOD, "No statement that is asked often takes long.")
        return unavailable("slow_queries", answer) or [good]
    worst = max(slow, key=lambda one: one.total_milliseconds)
    sentence = (
        f"{len(slow)} statements take {SLOW_MEAN_MILLISECONDS / 1000:g} s or more on average; the costliest, "
        f"{worst.query_id}, {worst.mean_milliseconds:.0f} ms and {worst.calls} calls."
    )
    return [Finding("slow_queries", Level.WARNING, sentence, "license-server database slow-queries")]
