"""Refused requests, looked at once more: an honest mistake, or somebody who tries to break in?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never

from fastapi import Request

from app.domain.attacks import MAX_LOOKED_AT, Attack, Signs, find_in_input, find_in_request
from app.telemetry import security_log
from app.telemetry.security_log import SecurityEvent
from app.web.client_address import client_ip
from app.web.log_fields import caller_fields

MAX_NAMES = 5
MAX_NAME_LENGTH = 50
MAX_VALUES = 200


def tell_refused_input(request: Request, names: Sequence[str], values: Sequence[object]) -> None:
    """Record input that was refused; the line holds the members' names and words of our own, never the input."""
    found = {**_in_target(request), **find_in_input(_texts(values))}
    if found:
        _tell(request, found, names)
        return
    security_log.record(
        SecurityEvent.INPUT_VALIDATION_FAIL,
        "Input was refused",
        ip=client_ip(request.scope),
        input_names=_shortened(names),
        **caller_fields(request.scope),
    )


def tell_refused_target(request: Request) -> None:
    """Record a request for what does not exist, if it looks like somebody who tries doors."""
    found = _in_target(request)
    if found:
        _tell(request, found, ())


def _in_target(request: Request) -> Signs:
    raw = request.scope.get("raw_path") or request.scope["path"].encode("utf-8", "replace")
    target = raw[:MAX_LOOKED_AT] + b"?" + request.scope["query_string"][: MAX_LOOKED_AT - len(raw[:MAX_LOOKED_AT])]
    return find_in_request(target.rstrip(b"?").decode("latin-1"), request.headers.get("user-agent", ""))


def _tell(request: Request, found: Signs, names: Sequence[str]) -> None:
    for attack, words in found.items():
        event, message = _event_of(attack)
        more = {"input_names": _shortened(names)} if names else {}
        security_log.record(
            event,
            message,
            ip=client_ip(request.scope),
            attack=attack,
            pattern=" ".join(words),
            **more,
            **caller_fields(request.scope),
        )


def _event_of(attack: Attack) -> tuple[SecurityEvent, str]:
    """The event in the OWASP vocabulary, and its sentence."""
    match attack:
        case Attack.SQL:
            return SecurityEvent.MALICIOUS_EXTRANEOUS, security_log.SQL_INJECTION_SUSPECTED
        case Attack.SCRIPT | Attack.TEMPLATE | Attack.COMMAND:
            return SecurityEvent.MALICIOUS_EXTRANEOUS, security_log.INJECTION_SUSPECTED
        case Attack.TRAVERSAL:
            return SecurityEvent.MALICIOUS_DIRECT_REFERENCE, "Refused request that looks like path traversal"
        case Attack.PROBE:
            return SecurityEvent.MALICIOUS_ATTACK_TOOL, "Refused request that looks like a scanner's"
        case _:
            assert_never(attack)


def _shortened(names: Sequence[str]) -> list[str]:
    return [name[:MAX_NAME_LENGTH] for name in names[:MAX_NAMES]]


def _texts(values: Sequence[object]) -> Iterator[str]:
    """The texts among the values and inside them: so many values, so many characters, and no more."""
    waiting: list[object] = list(values[:MAX_VALUES])
    characters = MAX_LOOKED_AT
    for _ in range(MAX_VALUES):
        if not waiting or characters <= 0:
            return
        value: Any = waiting.pop()
        if isinstance(value, str):
            yield value[:characters]
            characters -= len(value)
        elif isinstance(value, Mapping):
            waiting += list(value)[:MAX_VALUES] + list(value.values())[:MAX_VALUES]
        elif isinstance(value, list | tuple):
            waiting += value[:MAX_VALUES]
