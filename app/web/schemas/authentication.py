"""Signing in, in JSON."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, StringConstraints, model_validator

from app.domain.permissions import PrincipalKind, Role
from app.domain.second_factors import MAX_CODE_LENGTH
from app.domain.words import require_printable
from app.web.schemas.base import Email, Out, OutMoment, ShownPassword, Wish

Code = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_CODE_LENGTH),
    AfterValidator(require_printable),
]
"""What a device shows, or a recovery code, however it was typed."""


class SignIn(Wish):
    """An account and its password, and a code where the account has a second factor."""

    email: Email
    password: ShownPassword
    code: Code | None = None


class StepUp(Wish):
    """A proof that it is still the same person: the password, or a code of the second factor."""

    password: ShownPassword | None = None
    code: Code | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> StepUp:
        if (self.password is None) == (self.code is None):
            raise ValueError("send either `password` or `code`")
        return self


class UserOut(Out):
    """A person."""

    id: UUID
    email: str
    name: str
    role: Role
    organization_id: UUID | None


class SignedInOut(Out):
    """A session: send the token as `Authorization: Bearer ...`."""

    token: str
    expires_at: OutMoment
    user: UserOut
    organization: UUID | None


class SteppedUpOut(Out):
    """From when on the next minutes count as recently proven."""

    proven_at: OutMoment


class SecondFactorOut(Out):
    """The state of a person's second factor; `isMissing` is why this session may do nothing yet."""

    is_set_up: bool
    confirmed_at: OutMoment | None
    recovery_codes_left: int
    is_missing: bool


class MeOut(Out):
    """Who is calling and what that caller may do; `user` and the members about a session are null for an API key."""

    kind: PrincipalKind
    id: UUID
    organization: UUID | None
    permissions: list[str]
    user: UserOut | None
    second_factor: SecondFactorOut | None
    proven_at: OutMoment | None
