"""The closed list of security events; each is one log line and one count.

The names are those of the OWASP Logging Vocabulary, and of ours `authn_token_fail` for a refused API key or session and
`authn_login_new_address` for an operator who signs in from an address that was never seen before.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from app.telemetry import metrics

LOGIN_FAILED = "Failed login attempt"
RATE_LIMIT_EXCEEDED = "Rate limit exceeded"
INJECTION_SUSPECTED = "Rejected input that looks like injection"
SQL_INJECTION_SUSPECTED = f"{INJECTION_SUSPECTED}: somebody tries to insert SQL"
"""With the word `insert`, the guide's search finds every one of them, also those without a word it looks for."""

_logger = logging.getLogger("app.security")


class SecurityEvent(StrEnum):
    """What may be recorded; the value is the line's `event` and the counter's label."""

    AUTHN_LOGIN_SUCCESS = "authn_login_success"
    AUTHN_LOGIN_FAIL = "authn_login_fail"
    AUTHN_LOGIN_LOCK = "authn_login_lock"
    AUTHN_LOGIN_NEW_ADDRESS = "authn_login_new_address"
    AUTHN_PASSWORD_CHANGE = "authn_password_change"  # noqa: S105 (an event's name)
    AUTHN_PASSWORD_CHANGE_FAIL = "authn_password_change_fail"  # noqa: S105 (an event's name)
    AUTHN_TOKEN_CREATED = "authn_token_created"  # noqa: S105 (an event's name)
    AUTHN_TOKEN_REVOKED = "authn_token_revoked"  # noqa: S105 (an event's name)
    AUTHN_TOKEN_FAIL = "authn_token_fail"  # noqa: S105 (an event's name)
    AUTHN_TOKEN_REUSE = "authn_token_reuse"  # noqa: S105 (an event's name)
    AUTHZ_FAIL = "authz_fail"
    AUTHZ_ADMIN = "authz_admin"
    EXCESS_RATE_LIMIT_EXCEEDED = "excess_rate_limit_exceeded"
    INPUT_VALIDATION_FAIL = "input_validation_fail"
    MALICIOUS_ATTACK_TOOL = "malicious_attack_tool"
    MALICIOUS_EXTRANEOUS = "malicious_extraneous"
    MALICIOUS_DIRECT_REFERENCE = "malicious_direct_reference"
    PRIVILEGE_PERMISSIONS_CHANGED = "privilege_permissions_changed"
    SESSION_CREATED = "session_created"
    SESSION_EXPIRED = "session_expired"
    USER_CREATED = "user_created"
    USER_UPDATED = "user_updated"
    USER_ARCHIVED = "user_archived"
    SENSITIVE_READ = "sensitive_read"
    SYS_STARTUP = "sys_startup"
    SYS_SHUTDOWN = "sys_shutdown"
    SYS_CRASH = "sys_crash"


_WARNING_ENDINGS = ("_fail", "_reuse", "_lock", "_new_address", "_exceeded", "_crash")
_HONEST_MISTAKES = {SecurityEvent.INPUT_VALIDATION_FAIL}
_WARNINGS = frozenset(
    event for event in SecurityEvent if event.endswith(_WARNING_ENDINGS) or event.startswith("malicious_")
).difference(_HONEST_MISTAKES)

Listener = Callable[[str, str | None, Mapping[str, object]], None]
_listeners: list[Listener] = []

for _event in SecurityEvent:
    metrics.security_events.labels(_event)


def record(event: SecurityEvent, message: str, *, ip: str | None = None, **fields: object) -> None:
    """Write the event's line and count it; what somebody should look at is a warning, typing errors are not."""
    level = logging.WARNING if event in _WARNINGS else logging.INFO
    _logger.log(level, message, extra={"event": event, "fields": {**fields, "ip": ip}})
    metrics.security_events.labels(event).inc()
    for listen in _listeners:
        listen(event, ip, fields)
    if event is SecurityEvent.AUTHN_LOGIN_FAIL:
        metrics.login_failures.inc()


@contextmanager
def listened_to_by(listener: Listener) -> Iterator[None]:
    """Give every event, the client's address and the fields to the listener, too, meanwhile."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def record_login_failure(*, ip: str | None = None, **fields: object) -> None:
    """Tell of a login with a wrong email address or password."""
    record(SecurityEvent.AUTHN_LOGIN_FAIL, LOGIN_FAILED, ip=ip, **fields)


def record_rate_limit(policy: str, *, ip: str | None = None, **fields: object) -> None:
    """Tell of a request that a rate limit refused; the policy is one of the closed list of policies."""
    record(SecurityEvent.EXCESS_RATE_LIMIT_EXCEEDED, RATE_LIMIT_EXCEEDED, ip=ip, policy=policy, **fields)
    metrics.rate_limit_exceeded.labels(policy).inc()
