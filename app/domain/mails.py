"""The mails that the server writes, and when one is tried again that the mail server did not take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=15)

_CLOSING = "If you did not expect this mail, you need not do anything: without the code nothing happens."


@dataclass(frozen=True, slots=True)
class Mail:
    """A message in plain text to one person."""

    to: str
    subject: str
    text: str


def pause_after(attempts: int) -> timedelta:
    """How long to wait after this many attempts: 5 s, then twice as long each time, at most 15 min."""
    return min(FIRST_PAUSE * (1 << min(attempts - 1, 10)), LONGEST_PAUSE)


def invitation(to: str, token: str, organization: str | None, lifetime: timedelta, public_url: str | None) -> Mail:
    """The mail with which somebody becomes a user; without an organization, an operator."""
    place = f"join {organization} on" if organization else "become an operator of"
    opening = f"You are invited to {place} the iTechSmart License Server."
    step = _step(token, lifetime, public_url, "accept-invitation", "Choose your name and a password")
    return Mail(to, "Your invitation to the license server", _text(opening, step))


def invitation_of_known(to: str, organization: str | None) -> Mail:
    """The mail to somebody who is invited and has an account elsewhere: an account is in one organization alone."""
    place = organization or "the operators"
    opening = (
        f"{place} would like to have you on the iTechSmart License Server, but this e-mail address has an account "
        "there already, and an account belongs to one organization."
    )
    return Mail(to, "An invitation to the license server", _text(opening, "Ask to be invited at another address."))


def first_password(to: str, token: str, lifetime: timedelta, public_url: str | None) -> Mail:
    """The mail with which somebody whose account was made by others chooses a password."""
    opening = "An account on the iTechSmart License Server was made for you."
    step = _step(token, lifetime, public_url, "reset-password", "Choose a password")
    return Mail(to, "Your account on the license server", _text(opening, step))


def password_reset(to: str, token: str, lifetime: timedelta, public_url: str | None) -> Mail:
    """The mail with which somebody who lost a password chooses a new one."""
    opening = "Somebody, hopefully you, asked for a new password for your account on the iTechSmart License Server."
    step = _step(token, lifetime, public_url, "reset-password", "Choose a new password")
    return Mail(to, "A new password for the license server", _text(opening, step))


def registration(to: str, token: str, lifetime: timedelta, public_url: str | None) -> Mail:
    """The mail that confirms a registration; it holds no word of whoever registered."""
    opening = "Somebody, hopefully you, registered an organization with this address at the iTechSmart License Server."
    step = _step(token, lifetime, public_url, "confirm-registration", "Confirm it and choose a password")
    return Mail(to, "Your registration at the license server", _text(opening, step))


def registration_of_known(to: str) -> Mail:
    """The mail to somebody who registers and has an account already."""
    opening = (
        "Somebody, hopefully you, registered at the iTechSmart License Server with this address, which has an account "
        "there already."
    )
    step = "Sign in with it; if the password is lost, ask for a new one."
    return Mail(to, "Your registration at the license server", _text(opening, step))


def _step(token: str, lifetime: timedelta, public_url: str | None, page: str, what: str) -> str:
    """What to do; the code stands behind the # of a link, which browsers keep for themselves."""
    hours = round(lifetime / timedelta(hours=1))
    within = f"{hours} hours" if hours > 1 else "one hour"
    if public_url is None:
        return f"{what} within {within}, where you use the license server. Your code:\n\n{token}"
    link = f"{public_url.rstrip('/')}/account/{page}#token={token}"
    return f"{what} within {within}:\n\n{link}\n\nShould the link not work, your code is:\n\n{token}"


def _text(opening: str, step: str) -> str:
    return f"Hello,\n\n{opening}\n\n{step}\n\n{_CLOSING}\n"
