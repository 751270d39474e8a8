"""The kinds of values a setting can have: how each is written, and what would be right."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, SecretStr


class LogLevel(StrEnum):
    """How much is logged, from least to most."""

    ERROR = "error"
    WARN = "warn"
    INFO = "info"
    DEBUG = "debug"
    VERBOSE = "verbose"


class LogFormat(StrEnum):
    """How a log line looks: for programs or for eyes."""

    JSON = "json"
    CONSOLE = "console"


class SmtpTls(StrEnum):
    """How the connection to the mail server is encrypted."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class RateLimitPolicy(StrEnum):
    """Who is counted together: each policy is one budget and one `RATE_LIMIT_...` setting."""

    VALIDATE = "validate"
    VALIDATE_KEY = "validate_key"
    GUESS = "guess"
    LOGIN = "login"
    LOGIN_ADDRESS = "login_address"
    API = "api"
    ADMIN = "admin"
    REGISTRATION = "registration"
    ANONYMOUS = "anonymous"


class StoreAway(StrEnum):
    """What a rate limit does while the store that is shared by all servers is away."""

    OWN = "own"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class StoreAwayRules:
    """What each rate limit does while the store is away; written `own,validate=open`."""

    others: StoreAway
    exceptions: tuple[tuple[RateLimitPolicy, StoreAway], ...] = ()

    def of(self, policy: RateLimitPolicy) -> StoreAway:
        """What this one does."""
        return dict(self.exceptions).get(policy, self.others)

    def __str__(self) -> str:
        return ",".join([self.others, *(f"{policy}={what}" for policy, what in self.exceptions)])


class RatePeriod(StrEnum):
    """The time in which a rate limit counts."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests in one period; written `600/minute`."""

    count: int
    period: RatePeriod

    def __str__(self) -> str:
        return f"{self.count}/{self.period}"


@dataclass(frozen=True, slots=True)
class Right:
    """What an operator should have written: the end of the sentence `PORT must be ...`."""

    words: str


_WRONG = "not written the way this setting is"
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_NAME}|\[[0-9A-Fa-f:.]+\])(?::([0-9]{{1,5}}))?")
_RATE = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)")
_DATABASE_URL = re.compile(r"(?:postgresql|postgres|postgresql\+psycopg)://([^\s\x00#]+)", re.IGNORECASE)
_BYTES = re.compile(r"([1-9][0-9]{0,14})([KMGT]?)", re.IGNORECASE)
_BYTE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_CACHE_SCHEMES = frozenset({"redis", "rediss", "valkey", "valkeys"})


def _require(fact: bool) -> None:
    if not fact:
        raise ValueError(_WRONG)


def _matching(pattern: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        _require(re.fullmatch(pattern, text) is not None)
        return text

    return check


def _secret(check: Callable[[str], str]) -> AfterValidator:
    """Apply a check for text to a secret, which stays secret."""

    def check_secret(secret: SecretStr | None) -> SecretStr | None:
        return None if secret is None else SecretStr(check(secret.get_secret_value()))

    return AfterValidator(check_secret)


def _split_commas(value: object) -> object:
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _parse_rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lower() == "off":
        return None
    match = _RATE.fullmatch(value.lower())
    if match is None:
        raise ValueError(_WRONG)
    return RateLimit(int(match[1]), RatePeriod(match[2]))


def _parse_days(value: object) -> object:
    return None if isinstance(value, str) and value.lower() == "off" else value


def _parse_store_away(value: object) -> object:
    """`own`, or policies with what each does: `own,validate=open`; whoever is not named does what stands alone."""
    if not isinstance(value, str):
        return value
    pieces = [piece.strip().lower().partition("=") for piece in value.split(",")]
    alone = [name for name, equals, _ in pieces if not equals]
    named = {RateLimitPolicy(name.strip()): StoreAway(what.strip()) for name, equals, what in pieces if equals}
    _require(len(alone) <= 1 and len(alone) + len(named) == len(pieces))
    return StoreAwayRules(StoreAway(alone[0]) if alone else StoreAway.OWN, tuple(named.items()))


def _parse_bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _BYTES.fullmatch(value)
    if match is None:
        raise ValueError(_WRONG)
    return int(match[1]) * _BYTE_UNITS[match[2].upper()]


def _parse_bytes_or_off(value: object) -> object:
    return None if isinstance(value, str) and value.lower() == "off" else _parse_bytes(value)


def _age_keys(text: str) -> str:
    keys = [key.strip() for key in text.split(",")]
    for key in keys:
        _require(re.fullmatch(r"AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}", key) is not None)
    return ",".join(keys)


def _web_address(text: str) -> str:
    """The address that others reach: a scheme, a host, perhaps a port and a path, and nothing else."""
    parts = urlsplit(text)
    _require(parts.scheme in {"http", "https"} and re.search(r"[\s\x00?#@\\]", text) is None)
    _address(parts.netloc)
    return text.rstrip("/")


def _directory(path: Path) -> Path:
    _require("\0" not in str(path) and not str(path).startswith("~"))
    return path


def _host(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        _require(re.fullmatch(_NAME, text) is not None)
    return text


def _address(text: str) -> str:
    match = _ADDRESS.fullmatch(text)
    _require(match is not None and 1 <= int(match[2] or 1) <= 65535)
    if text.startswith("["):
        ip_address(text[1 : text.index("]")])
    return text


def _origin(text: str) -> str:
    if text == "*":
        return text
    scheme, separator, address = text.lower().partition("://")
    _require(bool(separator) and re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme) is not None)
    return f"{scheme}://{_address(address)}"


def _star_alone(origins: tuple[str, ...]) -> tuple[str, ...]:
    _require("*" not in origins or len(origins) == 1)
    return origins


def _database_url(text: str) -> str:
    """Rewrite to the one spelling libpq knows, and refuse what libpq would read differently from us."""
    match = _DATABASE_URL.fullmatch(text)
    if match is None:
        raise ValueError(_WRONG)
    url = f"postgresql://{match[1]}"
    parts = urlsplit(url)
    hosts = parts.netloc.rpartition("@")[2].split(",")
    _require(parts.netloc.count("@") <= 1 and _BAD_PERCENT.search(url) is None)
    _require(re.fullmatch(r"/[^/]+", parts.path) is not None)
    _require(all(map(_is_database_host, hosts)))
    return url


def _is_database_host(text: str) -> bool:
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]*)(?::([0-9]{1,5}))?", text)
    return match is not None and 1 <= int(match[2] or 1) <= 65535


def _cache_url(text: str) -> str:
    _require(re.search(r"[\s\x00]", text) is None)
    parts = urlsplit(text)
    is_socket = parts.scheme == "unix" and parts.path not in {"", "/"}
    is_server = parts.scheme in _CACHE_SCHEMES and bool(parts.hostname) and parts.port != 0
    _require(is_socket or is_server)
    return text


def _fernet_keys(text: str) -> str:
    keys = [key.strip() for key in text.split(",")]
    for key in keys:
        _require(re.fullmatch(r"[A-Za-z0-9_-]{43}=", key) is not None)
        _require(len(base64.urlsafe_b64decode(key)) == 32)
    return ",".join(keys)


Port = Annotated[int, Field(ge=0, le=65535), Right("a whole number from 0 to 65535 (0 takes any free port)")]
Host = Annotated[
    str,
    AfterValidator(_host),
    Right("an IP address or a host name, without scheme and port, such as 0.0.0.0"),
]
Directory = Annotated[
    Path,
    AfterValidator(_directory),
    Right("a directory, written out (~ is not expanded), such as /var/lib/itechsmart"),
]
Flag = Annotated[bool, Right("true or false")]
Level = Annotated[LogLevel, BeforeValidator(_lower), Right("one of error, warn, info, debug, verbose")]
Format = Annotated[LogFormat | None, BeforeValidator(_lower), Right("json or console")]
MailEncryption = Annotated[SmtpTls, BeforeValidator(_lower), Right("one of starttls, implicit, none")]
Rate = Annotated[
    RateLimit | None,
    BeforeValidator(_parse_rate),
    Right("<count>/<second|minute|hour|day>, such as 600/minute, or off"),
]
Days = Annotated[int, Field(ge=1, le=36500), Right("a whole number from 1 to 36500")]
DaysOrOff = Annotated[
    Annotated[int, Field(ge=1, le=36500)] | None,
    BeforeValidator(_parse_days),
    Right("a whole number from 1 to 36500, or off"),
]
AwayPolicies = Annotated[
    StoreAwayRules,
    BeforeValidator(_parse_store_away),
    Right("own, open or closed, and exceptions by policy, such as own,validate=open,login=closed"),
]
WebAddress = Annotated[
    str | None,
    AfterValidator(lambda text: None if text is None else _web_address(text)),
    Right("an http:// or https:// address without blanks, ? and #, such as https://licenses.example.com"),
]
ByteLimit = Annotated[
    int | None,
    BeforeValidator(_parse_bytes),
    Right("a number of bytes, or one with K, M, G or T behind it, such as 20G"),
]
ByteRate = Annotated[
    int | None,
    BeforeValidator(_parse_bytes_or_off),
    Right("a number of bytes, or one with K, M or G behind it, such as 32M, or off"),
]
Text = Annotated[str, AfterValidator(_matching(r"[^\x00-\x1f]{1,255}")), Right("at most 255 characters long")]
Email = Annotated[EmailStr, Right("an e-mail address such as admin@example.com")]
Emails = Annotated[
    tuple[EmailStr, ...],
    BeforeValidator(_split_commas),
    Right("e-mail addresses, comma separated, such as ops@example.com,oncall@example.com"),
]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...],
    BeforeValidator(_split_commas),
    AfterValidator(_star_alone),
    Right("origins without a path, comma separated, such as https://portal.example.com, or * alone"),
]
Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...],
    BeforeValidator(_split_commas),
    Right("networks in CIDR notation, comma separated, such as 10.0.0.0/8,fd00::/8"),
]
Addresses = Annotated[
    tuple[Annotated[str, AfterValidator(_address)], ...],
    BeforeValidator(_split_commas),
    Right("hosts with or without a port, comma separated, such as licenses.example.com:443"),
]
Bucket = Annotated[
    str,
    AfterValidator(_matching(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?")),
    Right("s3://<bucket>/<prefix>, such as s3://acme-backups/licenses"),
]

DatabaseUrl = Annotated[
    SecretStr | None,
    _secret(_database_url),
    Right(
        "a PostgreSQL address that names a database, such as postgresql://<user>:<password>@<host>/<database>"
        ", with special characters in the password percent-encoded"
    ),
]
CacheUrl = Annotated[
    SecretStr | None,
    _secret(_cache_url),
    Right("an address that starts with redis://, rediss://, valkey://, valkeys:// or unix://"),
]
FernetKeys = Annotated[
    SecretStr | None,
    _secret(_fernet_keys),
    Right("one or several keys made by `license-server generate-key`, comma separated"),
]
AgeKeys = Annotated[
    SecretStr | None,
    _secret(_age_keys),
    Right("one or several keys made by `license-server backups generate-key`, comma separated"),
]
Password = Annotated[SecretStr | None, _secret(_matching(r"(?s).{12,1024}")), Right("12 to 1024 characters long")]
BearerToken = Annotated[
    SecretStr | None,
    _secret(_matching(r"[\x21-\x7e]{16,1024}")),
    Right("16 to 1024 characters long, ASCII and without blanks"),
]
AnySecret = Annotated[SecretStr | None, _secret(_matching(r"(?s).{1,1024}")), Right("at most 1024 characters long")]
WebhookUrl = Annotated[
    SecretStr | None,
    _secret(_matching(r"https://[^\s/?#@]+/[^\s]+")),
    Right("the https:// address of an incoming webhook"),
]
RoutingKey = Annotated[
    SecretStr | None,
    _secret(_matching(r"[A-Za-z0-9]{32}")),
    Right("32 letters and digits, as PagerDuty shows it"),
]
