"""The pages that links in mails lead to; they talk to the API, and hold nothing of anybody."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_FOLDER = Path(__file__).parent / "pages"
_FILES = {path.name: path.read_bytes() for path in _FOLDER.iterdir()}

router = APIRouter(prefix="/account", tags=["pages"])


@router.get("/accept-invitation")
async def show_invitation() -> Response:
    """The form with which somebody accepts an invitation."""
    return _file("accept-invitation.html", "text/html")


@router.get("/reset-password")
async def show_reset() -> Response:
    """The form with which somebody chooses a password."""
    return _file("reset-password.html", "text/html")


@router.get("/confirm-registration")
async def show_confirmation() -> Response:
    """The form with which somebody confirms a registration."""
    return _file("confirm-registration.html", "text/html")


@router.get("/account.js")
async def show_script() -> Response:
    """What the forms do."""
    return _file("account.js", "text/javascript")


@router.get("/account.css")
async def show_style() -> Response:
    """What the forms look like."""
    return _file("account.css", "text/css")


def _file(name: str, media_type: str) -> Response:
    return Response(_FILES[name], media_type=media_type, headers={"Content-Security-Policy": POLICY})
