"""`license-server healthcheck`: for the container's HEALTHCHECK, without curl."""

from __future__ import annotations

import http.client

from app.cli.context import one_sentence
from app.cli.output import fail
from app.settings import load_settings

TIMEOUT_SECONDS = 3.0


def healthcheck() -> None:
    """Ask the server on this machine for /health; exit code 0 when it is healthy, 1 when not."""
    with one_sentence():
        settings = load_settings()
    host = "127.0.0.1" if settings.host in {"0.0.0.0", ""} else settings.host  # noqa: S104
    connection = http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        fail(f"The server does not answer at {host}:{settings.port}: {error}")
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        fail(f"The server is unhealthy: /health answered {status}")
