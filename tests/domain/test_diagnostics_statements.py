"""Statements are shown without anything that somebody typed in."""

from __future__ import annotations

import pytest

from app.domain.diagnostics.answers import Answer, Status
from app.domain.diagnostics.statements import MAX_STATEMENT_LENGTH, SlowStatement, judge, without_literals
from app.domain.findings import Level


@pytest.mark.parametrize(
    ("statement", "covered"),
    [
        ("SELECT $1, a_1 FROM t2 WHERE x = 'secret'", "SELECT $1, a_1 FROM t2 WHERE x = ?"),
        ("SELECT 'it''s', E'it\\'s', U&'d\\0061t', x'1F', n'x'", "SELECT ?, ?, ?, ?, ?"),
        ("SELECT 1, -2.5, .5, 1e10, 0x1F, 1_000 - 3", "SELECT ?, ?, ?, ?, ?, ? - ?"),
        ("SELECT $$secret$$, $tag$it's $$ secret$tag$ FROM t", "SELECT ?, ? FROM t"),
        ('SELECT "Mixed""Case 1" FROM "T 1"', 'SELECT "Mixed""Case 1" FROM "T 1"'),
        ("SELECT a -- secret\n, b /* anna@acme.example */ FROM t", "SELECT a , b FROM t"),
        ("ALTER ROLE x PASSWORD 'secret'", "ALTER ROLE x PASSWORD ?"),
        ("SET app.token = secret", "SET app.token = ?"),
        ("set local search_path to secret, public", "set local search_path to ?"),
        ("SELECT 'cut off in the mid", "SELECT ?"),
        ("SELECT $x$cut off", "SELECT ?"),
        ("SELECT /* cut off", "SELECT"),
        ("/* cut off", ""),
        ("DO $a_1$ $$ 'x' $a_1$, $$b$$", "DO ?, ?"),
        (r"SELECT E'a\' b', 'c\', 'd'", "SELECT ?, ?"),
        ("UPDATE t SET a = b WHERE c = 'x'", "UPDATE t SET a = b WHERE c = ?"),
        ("SELECT /* outer /* inner */ secret */ 1", "SELECT"),
        ("SELECT date'2\\', 'secret'", "SELECT date?"),
        ("SELECT 'it\\'s secret', 1", "SELECT ?"),
        ("SELECT a$b$ FROM t WHERE c = 'x' AND d = e$b$", "SELECT a$b$ FROM t WHERE c = ? AND d = e$b$"),
        ("BEGIN; SET app.token = secret; SELECT 1", "BEGIN; SET app.token = ?; SELECT ?"),
        ("ALTER ROLE anna IN DATABASE d SET app.token TO secret", "ALTER ROLE anna IN DATABASE d SET app.token TO ?"),
        ('SET "app.token" TO "sec;ret"', 'SET "app.token" TO ?'),
        ("COMMENT ON TABLE t IS 'secret'", "COMMENT ON TABLE t IS ?"),
        ("", ""),
    ],
)
def test_no_literal_and_no_comment_is_left(statement: str, covered: str) -> None:
    assert without_literals(statement) == covered


def test_a_statement_has_a_bound() -> None:
    assert len(without_literals("SELECT " + "a, " * 10_000)) == MAX_STATEMENT_LENGTH


def slow(mean: float, calls: int = 100, total: float = 1.0) -> SlowStatement:
    return SlowStatement("7", "SELECT ?", calls, total, mean, mean, 1, 0.5)


@pytest.mark.parametrize(
    ("items", "level"),
    [((), Level.GOOD), ((slow(499),), Level.GOOD), ((slow(9e9, calls=1),), Level.GOOD), ((slow(500),), Level.WARNING)],
)
def test_a_statement_that_is_asked_often_and_slow_is_a_warning(items: tuple[SlowStatement, ...], level: Level) -> None:
    [finding] = judge(Answer(items=items))

    assert finding.level is level
    assert (finding.action is None) == (level is Level.GOOD)


def test_no_answer_is_a_finding_of_its_own() -> None:
    [finding] = judge(Answer(Status.UNAVAILABLE, reason="It is missing.", remedy="CREATE EXTENSION x;"))

    assert (finding.level, finding.sentence, finding.action) == (
        Level.UNAVAILABLE,
        "It is missing.",
        "CREATE EXTENSION x;",
    )
