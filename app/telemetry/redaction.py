"""What must never be read in a log: secrets are found by their shape, or by the name in front of them."""

import re
from functools import lru_cache
from urllib.parse import unquote

COVER = "[redacted]"

_HIDDEN_NAME = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|token|authorization|cookie|credentials?"
    r"|(?:api|license|encryption|private|signing|routing)[_.-]?key)(?:s|_?hash)?"
)
_LETTER = "[A-HJ-NP-Z2-9]"
_DASH = r"[-\u2010-\u2015\u2212]"

_TOLD = re.compile(
    rf"""
    (?P<scheme> (?:bearer|basic)[\s+]{{1,8}} ) [^\s"',;)&]+
    | (?P<user> (?<=://) [^\s/@:?\#]{{0,128}} : ) (?! \d{{1,5}}[/?\#] ) \S{{0,256}} (?=@)
    | (?P<row> \bDETAIL: \s{{1,4}} ) [^\r\n]+  # PostgreSQL quotes the row that it refused
    | (?P<hook> hooks\.slack\.com/services/ ) [^\s"']+
    | (?P<header> (?:cookie|authorization)\s{{0,4}}[:=] (?!\s{{0,4}}\[redacted) \s{{0,4}} ) [^\r\n"']+
    | (?P<name> {_HIDDEN_NAME}
        (?: \\?["']\s{{0,4}},\s{{0,4}} | (?:\\?["']|[)\]])?\s{{0,4}}(?:=>|[:=])\s{{0,4}} )
        (?! b?[(\[]?\\?["']?\[redacted ) (?: b(?=["']) )? [(\[]? )
      (?: (?P<quote> \\?["'] ) (?: (?!(?P=quote)) (?: \\["'\\] | [^\r\n] ) )*
        | (?: (?:bearer|basic|digest|negotiate|token)\s{{1,4}} )? [^\s"'&;,)}}\]]+ )
    """,
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
"""Secrets told by what stands in front of them: covered first, or a word of theirs is taken for a part of a key."""

_SHAPED = re.compile(
    rf"""
    (?P<kept> [0-9A-F]{{8}}-[0-9A-F]{{4}}-[0-9A-F]{{4}}-[0-9A-F]{{4}}-[0-9A-F]{{12}} )  # UUIDs stay
    | {_LETTER}{{4}} (?: {_DASH}{_LETTER}{{4}} ){{4}}
    | (?<![A-Z0-9]) {_LETTER}{{4}} (?: {_DASH}?{_LETTER}{{4}} ){{4}} (?![A-Z0-9])
    | (?<![A-Z0-9]) (?= [^2-9]{{0,57}} [2-9] )  # grouped otherwise; a digit tells it from words in a row
      {_LETTER} (?: [-+\ \t\u2010-\u2015\u2212]{{0,2}} {_LETTER} ){{19}} (?![A-Z0-9])
    | its[a-z]_ [A-Z0-9_-]+
    | gAAAA [A-Z0-9_-]{{16,}} ={{0,2}}
    | (?<![A-Z0-9_-]) [A-Z0-9_-]{{43,128}} =
    """,
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)
"""Secrets told by their shape alone."""

_WORTH_A_LOOK = re.compile(
    r"""[-+ \t=:@"',\\%\u2010-\u2015\u2212]|[A-Z2-9]{20}|gAAAA|its[a-z]_|bearer|basic|slack""",
    re.IGNORECASE | re.ASCII,
)
_CAN_TELL = re.compile(r"[\s+:=,]|slack", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(?:u00([2-7][0-9A-Fa-f])|x([2-7][0-9A-Fa-f])|([\"/]))")
_NAMED_SECRET = re.compile(rf"{_HIDDEN_NAME}\Z", re.IGNORECASE | re.ASCII)


def redact(text: str) -> str:
    """The text with every license key, token, password and credential covered, also percent-encoded ones."""
    if not _WORTH_A_LOOK.search(text):
        return text

    covered = _cover_secrets(text)
    if "%" not in covered and "\\" not in covered:
        return covered

    unfolded = _unfold(covered)
    uncovered = _cover_secrets(unfolded)
    return covered if uncovered == unfolded else uncovered


@lru_cache(maxsize=512)
def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value looks like."""
    return _NAMED_SECRET.search(name) is not None


def _cover_secrets(text: str) -> str:
    told = _TOLD.sub(_cover_told, text) if _CAN_TELL.search(text) else text
    return _SHAPED.sub(_cover_shaped, told)


def _cover_shaped(match: re.Match[str]) -> str:
    return match["kept"] or COVER


def _cover_told(match: re.Match[str]) -> str:
    before = match["scheme"] or match["user"] or match["row"] or match["hook"] or match["header"] or match["name"] or ""
    return f"{before}{match['quote'] or ''}{COVER}"


def _unfold(text: str) -> str:
    """The text as a program that reads it would see it; clients encode up to three times."""
    for _ in range(3):
        plain = _ESCAPED.sub(_unescape, unquote(text))
        if plain == text:
            break
        text = plain
    return text


def _unescape(match: re.Match[str]) -> str:
    return match[3] or chr(int(match[1] or match[2], 16))
