"""Where settings come from: the process environment, `.env`, and files that hold secrets."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import get_args

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import ValidationError

from app.settings.catalog import SECRET_NAMES, SETTING_NAMES, Given, Settings
from app.settings.values import Right

_FILE_NAMES = frozenset(f"{name}_FILE" for name in SECRET_NAMES)
_KNOWN_NAMES = frozenset(SETTING_NAMES) | _FILE_NAMES
_DISTINCTIVE_NAMES = sorted(name for name in _KNOWN_NAMES if "_" in name)
_OUR_PREFIXES = ("RATE_LIMIT_", "SMTP_", "BACKUP_", "OIDC_")
_OIDC_NAMES = ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
_OTHER_PEOPLES_PREFIXES = ("COMPOSE_", "POSTGRES_", "DOCKER_")
_SERVICE_LINK = re.compile(
    r"(?P<service>.+?)_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_ORDINARY_NEIGHBOURS = frozenset({"DATABASE_USER"})
_SECRET_FILE_LIMIT = 64 * 1024

ENV_FILE = Path(".env")


class SettingsError(Exception):
    """The settings cannot be used; every line is a sentence that names one and says what would be right."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """The settings as far as they can be used, the rest by default; every problem is a sentence.

    `unusable` are the names that somebody has set and that were left out.
    """

    settings: Settings
    problems: tuple[str, ...]
    unusable: frozenset[str]


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Settings:
    """Read every setting, the environment before `.env`; all problems together are one SettingsError."""
    found = inspect_settings(environ, env_file)
    if found.problems:
        raise SettingsError("\n".join(found.problems))
    return found.settings


def inspect_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = ENV_FILE) -> Inspection:
    """Read every setting as `load_settings` does, and go on with what is right where something is wrong."""
    problems: list[str] = []
    environment = _without_service_links(os.environ if environ is None else environ)
    dotenv = _read_env_file(env_file, problems)

    problems += _strangers_in_environment(environment)
    problems += _strangers_in_env_file(dotenv)
    sources = (_known(dotenv), _known(environment))
    given = {name.removesuffix("_FILE") for source in sources for name in source}
    problems += _contradictions(given)

    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    for place, source in zip((str(env_file), "environment"), sources, strict=True):
        resolved = _resolve(source, problems)
        values |= resolved
        origins |= {name: source.get(f"{name}_FILE", place) for name in resolved}
    settings, wrong = _build(values)
    settings = settings.with_given(Given(name, value, origins[name]) for name, value in sorted(values.items()))
    problems += map(_what_is_right, wrong)
    if not wrong and settings.registration_enabled and settings.smtp_host is None:
        problems.append("REGISTRATION_ENABLED needs SMTP_HOST: whoever registers confirms the address by mail.")
    unusable = (given - values.keys()) | {name.upper() for name in wrong}
    return Inspection(settings, tuple(problems), frozenset(unusable))


def _without_service_links(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what Kubernetes sets for services, such as SMTP_PORT=tcp://10.0.0.1:25 for `smtp`."""
    return {name: value for name, value in environ.items() if not _is_service_link(name, value, environ)}


def _is_service_link(name: str, value: str, environ: Mapping[str, str]) -> bool:
    match = _SERVICE_LINK.fullmatch(name)
    if match is None or f"{match['service']}_SERVICE_HOST" not in environ:
        return False
    return name != f"{match['service']}_PORT" or "://" in value


def _read_env_file(env_file: Path | None, problems: list[str]) -> dict[str, str]:
    """The file's names and values; no file is an empty one."""
    try:
        if env_file is None or not env_file.is_file():
            return {}
        text = env_file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        problems.append(f"{env_file} cannot be read ({_cause(error)}); it must be a readable UTF-8 text file.")
        return {}

    broken = [binding.original.line for binding in parse_stream(StringIO(text)) if binding.error]
    problems += [f"Line {line} of {env_file} is broken; it must be NAME=value or a # comment." for line in broken]
    if broken:
        return {}
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


def _cause(error: OSError | ValueError) -> str:
    """Why a file cannot be read, without a word of what is in it."""
    if isinstance(error, OSError):
        return error.strerror or "unreadable"
    return "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)


def _strangers_in_environment(environment: Mapping[str, str]) -> Iterable[str]:
    """Complain of names that are surely meant for us: under our prefixes, or nearly a setting's name."""
    for name in sorted(environment.keys() - _KNOWN_NAMES - _ORDINARY_NEIGHBOURS):
        near = get_close_matches(name, _DISTINCTIVE_NAMES, n=1, cutoff=0.87)
        if near or name.startswith(_OUR_PREFIXES):
            yield f"{ascii(name)[1:-1]} is not a setting; {_advice(name)}"


def _strangers_in_env_file(dotenv: Mapping[str, str]) -> Iterable[str]:
    for name in sorted(dotenv.keys() - _KNOWN_NAMES):
        if not name.startswith(_OTHER_PEOPLES_PREFIXES):
            yield f"{ascii(name)[1:-1]} in .env is not a setting; {_advice(name)}"


def _advice(name: str) -> str:
    near = get_close_matches(name.upper(), sorted(_KNOWN_NAMES), n=1)
    return f"did you mean {near[0]}?" if near else "remove it, or see .env.example for all settings."


def _known(source: Mapping[str, str]) -> dict[str, str]:
    """The settings of a source, blanks around them removed; an empty value counts as not set."""
    stripped = {name: source[name].strip() for name in source.keys() & _KNOWN_NAMES}
    return {name: value for name, value in stripped.items() if value}


def _contradictions(names: Set[str]) -> Iterable[str]:
    if "DATABASE_URL" in names and "ENCRYPTION_KEY" not in names:
        yield (
            "DATABASE_URL is set without ENCRYPTION_KEY; make one with `license-server generate-key`, set it "
            "and keep it safe."
        )
    if "DATABASE_DIRECT_URL" in names and "DATABASE_URL" not in names:
        yield "DATABASE_DIRECT_URL is set without DATABASE_URL; set DATABASE_URL, or remove DATABASE_DIRECT_URL."
    if ("SMTP_USERNAME" in names) != ("SMTP_PASSWORD" in names):
        given, missing = sorted(("SMTP_USERNAME", "SMTP_PASSWORD"), key=names.__contains__, reverse=True)
        yield f"{given} is set without {missing}; set both or neither."
    if names & set(_OIDC_NAMES):
        for name in (*_OIDC_NAMES, "PUBLIC_URL"):
            if name not in names:
                yield f"{name} is missing; signing in at an identity provider needs PUBLIC_URL and all OIDC_ settings."
    if "SMTP_HOST" not in names:
        for name in sorted(names):
            if name.startswith("SMTP_") or name == "ALERT_EMAIL_TO":
                yield f"{name} is set without SMTP_HOST; set SMTP_HOST to the mail server, or remove {name}."


def _resolve(source: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    """Replace every X_FILE by X with the file's content; within one source only one of both may be set."""
    values = {name: value for name, value in source.items() if name not in _FILE_NAMES}
    for file_name in sorted(source.keys() & _FILE_NAMES):
        name = file_name.removesuffix("_FILE")
        if name in values:
            problems.append(f"{name} and {file_name} are both set; keep one of them.")
            continue
        try:
            values[name] = _read_secret(Path(source[file_name]))
        except (OSError, ValueError) as error:
            problems.append(f"{file_name} must name a file that holds the value of {name} ({_cause(error)}).")
    return values


def _read_secret(path: Path) -> str:
    if not path.is_file():
        raise ValueError("no such file")
    with path.open(encoding="utf-8-sig") as file:
        content = file.read(_SECRET_FILE_LIMIT + 1)
    if len(content) > _SECRET_FILE_LIMIT:
        raise ValueError("too large")
    if not content.strip():
        raise ValueError("empty")
    return content.strip()


def _build(values: Mapping[str, str]) -> tuple[Settings, Sequence[str]]:
    """The settings, and the names of the fields that were left out because they are wrong."""
    fields = {name.lower(): value for name, value in values.items()}
    try:
        return Settings.model_validate(fields), ()
    except ValidationError as error:
        details = [detail for detail in error.errors() if detail["type"] != "default_factory_not_called"]
    wrong = sorted({str(detail["loc"][0]) for detail in details})
    return Settings.model_validate({name: value for name, value in fields.items() if name not in wrong}), wrong


def _what_is_right(field_name: str) -> str:
    """A sentence that never repeats the value: it could be a secret in the wrong place."""
    field = Settings.model_fields[field_name]
    inner = (item for part in get_args(field.annotation) for item in getattr(part, "__metadata__", ()))
    right = next(item.words for item in (*field.metadata, *inner) if isinstance(item, Right))
    return f"{field_name.upper()} must be {right}."
