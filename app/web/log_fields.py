"""What handlers add to the one log line of their request."""

from __future__ import annotations

from starlette.types import Scope

SCOPE_FIELDS = "license_server.log_fields"


def caller_fields(scope: Scope) -> dict[str, object]:
    """Who is calling, as far as it is known by now."""
    known: dict[str, object] = scope.get(SCOPE_FIELDS, {})
    return {name: known[name] for name in ("caller_kind", "caller_id") if name in known}
