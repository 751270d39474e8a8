"""Secrets never come out, however they are wrapped; ids and ordinary text stay readable."""

import json
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.telemetry.redaction import redact
from tests.telemetry.lines import read_line, write_line

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
KEY = "ABCD-EFGH-JKLM-NPQR-STUV"
license_keys = st.lists(st.text(ALPHABET, min_size=4, max_size=4), min_size=5, max_size=5).map("-".join)
tokens = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=32, max_size=64)
surroundings = st.text(max_size=200)


def percent_encoded(text: str) -> str:
    """Every character as %XX."""
    return "".join(f"%{ord(character):02x}" for character in text)


def json_escaped(text: str) -> str:
    """Every character as a JSON escape."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


@given(key=license_keys, before=surroundings, after=surroundings)
def test_license_key_never_comes_out(key: str, before: str, after: str) -> None:
    for wrapped in (
        key,
        key.lower(),
        f"x{key}y",
        key.replace("-", "%2D"),
        quote(quote(key.replace("-", "\u2010"))),
    ):
        assert wrapped not in redact(f"{before} {wrapped} {after}")


@given(key=license_keys, before=surroundings)
def test_license_key_without_dashes_never_comes_out(key: str, before: str) -> None:
    bare = key.replace("-", "")

    assert bare not in redact(f"{before} {bare}")
    assert bare.lower() not in redact(f"{before}/{bare.lower()}?")


@given(key=license_keys)
def test_encoded_license_key_never_comes_out(key: str) -> None:
    assert redact(percent_encoded(key)) == "[redacted]"
    assert redact(json_escaped(key)) == "[redacted]"
    assert redact(quote(percent_encoded(key))) == "[redacted]"


@given(token=tokens, before=surroundings, after=surroundings)
@example(token="0" * 32, before="2" * 14, after="")
@example(token="ABCDEFGHJKLM2N-rest-of-the-token", before="", after="")
def test_tokens_never_come_out(token: str, before: str, after: str) -> None:
    assume(token not in before and token not in after)

    for wrapped in (
        f"itsk_{token}",
        f"itss_{token}",
        f"gAAAA{token}",
        f"Bearer {token}",
        f"Authorization: {token}",
        f"postgres://u:{token}@host",
        f'{{"password": "{token}"}}',
        json.dumps(json.dumps({"licenseKey": token})),
        f"api_key={token}&a=b",
        f"X-API-Key: {token}",
        f"(b'cookie', b'session={token}')",
        f"ADMIN_PASSWORD={token}",
        quote(f"token={token}"),
    ):
        assert token not in redact(f"{before} {wrapped} {after}")


@given(text=st.text(alphabet=st.one_of(st.sampled_from("abAB2:/@%\\\"'-= "), st.characters())))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)

    assert redact(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"GET /v?licenseKey={KEY}&a=1", "GET /v?licenseKey=[redacted]&a=1"),
        ("Authorization: Digest username=x, response=y", "Authorization: [redacted]"),
        ("redis://:pa/ss?@cache:6379/0", "redis://:[redacted]@cache:6379/0"),
        ('{"password": "a \\"b", "seats": 1}', '{"password": "[redacted]", "seats": 1}'),
        ('{\\"token\\": \\"x\\", \\"a\\": 1}', '{\\"token\\": \\"[redacted]\\", \\"a\\": 1}'),
        ("Key (license_key)=(OLD/1) already exists", "Key (license_key)=([redacted]) already exists"),
        ("Cookie: a=b; c=d", "Cookie: [redacted]"),
        ("password=a%20b", "password=[redacted]"),
        ("key 3Zq8r5J3X0y1-2Wm0K9Q8Jd7V6b5N4m3L2k1J0h9G8f=", "key [redacted]"),
        ("https://hooks.slack.com/services/T0/B0/xyz", "https://hooks.slack.com/services/[redacted]"),
    ],
)
def test_only_the_secret_is_covered(text: str, expected: str) -> None:
    assert redact(text) == expected


@given(uuid=st.uuids())
def test_uuid_stays_readable(uuid: object) -> None:
    assert redact(f"/api/licenses/{uuid}/machines") == f"/api/licenses/{uuid}/machines"


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/licenses HTTP/1.1 200",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "d2f2e6a9c4b87d2f2e6a9c4b87d2f2e6a9c4b87d2f2e6a9c4b87d2f2e6a9c4b8",
        "http://127.0.0.1:3001/users?email=a@b.c",
        "authn_token_created",
        "scopes licenses:read usage:write",
        "2025-11-16T17:10:00.000Z",
        "100%",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


@given(key=license_keys, token=tokens)
def test_no_member_of_a_line_shows_a_secret(key: str, token: str) -> None:
    fields = {
        "password": token,
        "licenseKey": [token],
        "nested": {"db_password": token, "list": [{"Authorization": token}, f"x {key}"]},
        key: key,
        "bytes": f"Bearer {token}".encode(),
        "set": {key},
    }
    error = ValueError(f"postgres://u:{token}@h {key}")

    line = write_line("Bearer %s", token, extra={"fields": fields, "token": token}, exc_info=error)

    read_line(line)
    assert key not in line
    assert token not in line


@given(padding=st.integers(min_value=1_900, max_value=3_100), key=license_keys)
def test_no_half_of_a_secret_is_left_at_the_cut(padding: int, key: str) -> None:
    line = write_line("-" * padding + f" {key} {key} {key}" + " z" * 5_000)

    assert key[:9] not in line


@given(padding=st.integers(min_value=7_000, max_value=33_000), token=tokens)
def test_no_half_of_a_secret_is_left_in_a_long_stack_trace(padding: int, token: str) -> None:
    error = ValueError("x " * (padding // 2) + f"itsk_{token} " * 3 + "y" * 40_000)

    line = write_line("Failed", exc_info=error)

    assert token[:16] not in line
    assert len(read_line(line)["exception"]) < 8_100


@pytest.mark.parametrize("separator", [" ", "\t", "--", "+", "%20", "%09", " - "[:2]])
@pytest.mark.parametrize("cuts", [(4, 8, 12, 16), (5, 10, 15), (3, 9), ()])
def test_a_license_key_that_is_grouped_otherwise_is_covered(separator: str, cuts: tuple[int, ...]) -> None:
    key = "DC746SDMARRVPVRA2TDX"
    groups = [key[start:end] for start, end in zip((0, *cuts), (*cuts, len(key)), strict=True)]

    assert redact(f"GET /x/{separator.join(groups)} now") == "GET /x/[redacted] now"


def test_words_in_a_row_are_no_license_key() -> None:
    assert redact("the server keeps the letters") == "the server keeps the letters"


def test_the_row_that_postgresql_refused_is_covered() -> None:
    text = 'null value in column "name"\nDETAIL:  Failing row contains (7, ada@example.com, hash).\nCONTEXT:  COPY'

    assert redact(text) == 'null value in column "name"\nDETAIL:  [redacted]\nCONTEXT:  COPY'
