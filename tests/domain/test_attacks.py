"""What looks like an attack, what does not, and that no text takes long to look at."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.attacks import Attack, find_in_input, find_in_request


@pytest.mark.parametrize(
    ("text", "attack", "words"),
    [
        ("x'; DROP TABLE users; --", Attack.SQL, ("drop",)),
        ("1; delete/**/from licenses", Attack.SQL, ("delete",)),
        ("' UNION ALL SELECT password FROM users", Attack.SQL, ("select", "union")),
        ("%27%20or%201%3D1", Attack.SQL, ()),
        ("' OR '1'='1", Attack.SQL, ()),
        ("1 or 1=1", Attack.SQL, ()),
        ("admin'--", Attack.SQL, ()),
        ("1); SELECT pg_sleep(10)", Attack.SQL, ("sleep",)),
        ("x'; insert into users values (1)", Attack.SQL, ("insert",)),
        ("TRUNCATE+TABLE+licenses", Attack.SQL, ("truncate",)),
        ("<script>alert(1)</script>", Attack.SCRIPT, ("script",)),
        ("<img src=x onerror=alert(1)>", Attack.SCRIPT, ("img", "onerror")),
        ("javascript:alert(1)", Attack.SCRIPT, ("javascript",)),
        ("{{7*7}}", Attack.TEMPLATE, ()),
        ("${jndi:ldap://192.0.2.1/a}", Attack.TEMPLATE, ("jndi",)),
        ("a; cat /etc/hostname", Attack.COMMAND, ()),
        ("$(whoami)", Attack.COMMAND, ()),
        ("../../secret", Attack.TRAVERSAL, ()),
        ("%252e%252e%252fsecret", Attack.TRAVERSAL, ()),
        ("..\\..\\windows", Attack.TRAVERSAL, ()),
        ("/etc/passwd", Attack.TRAVERSAL, ("passwd",)),
    ],
)
def test_an_attack_is_recognised(text: str, attack: Attack, words: tuple[str, ...]) -> None:
    found = find_in_input([text])

    assert set(words) <= set(found[attack])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Acme Corp",
        "O'Brien & Sons (Holding) Ltd.",
        "Drop Inc",
        "Union of Select Wines",
        "delete my account please",
        "it@acme.example",
        "2026-13-01T00:00:00Z",
        "ABCD-EFGH-JKLM-NPQR-STUV",
        "C:\\Program Files\\Acme",
        "rock'n'roll",
        "100% of 3+4",
        "R&D; sales",
        "version 1..2",
    ],
)
def test_an_honest_mistake_is_none(text: str) -> None:
    assert find_in_input([text]) == {}


@pytest.mark.parametrize(
    ("target", "user_agent", "attacks"),
    [
        ("/.env", "", {Attack.PROBE}),
        ("/.git/config", "", {Attack.PROBE}),
        ("/wp-login.php", "", {Attack.PROBE}),
        ("/%2e%65nv", "", {Attack.PROBE}),
        ("/static/../../etc/passwd", "", {Attack.TRAVERSAL}),
        ("/search?q=%3Cscript%3E", "", {Attack.SCRIPT}),
        ("/api/nothing", "sqlmap/1.8", {Attack.PROBE}),
        ("/api/nothing", "curl/8.5", set()),
        ("/favicon.ico", "Mozilla/5.0", set()),
        ("/api/licences/validate", "", set()),
    ],
)
def test_a_request_of_a_scanner_is_recognised(target: str, user_agent: str, attacks: set[Attack]) -> None:
    assert set(find_in_request(target, user_agent)) == attacks


@pytest.mark.parametrize(
    "unit", ["'", "' ", "select ", "<", "{{", "../", "%25", "union/**/", ";", "or 1", "$(", "a", "%2e"]
)
def test_no_text_takes_long(unit: str) -> None:
    texts = [unit * 100_000] * 5
    started_at = time.perf_counter()

    find_in_input(texts)

    assert time.perf_counter() - started_at < 5


@settings(max_examples=200, deadline=None)
@given(text=st.text())
def test_only_words_of_our_own_are_told(text: str) -> None:
    for words in find_in_input([f"x'; DROP TABLE users; -- {text}"]).values():
        assert all(word.isalpha() and word.islower() and word.isascii() for word in words)
