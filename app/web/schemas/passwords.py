"""Passwords in JSON."""

from __future__ import annotations

from app.web.schemas.base import Email, NewPassword, Out, ShownPassword, Text, Wish


class ForgotPassword(Wish):
    """Whose password is lost."""

    email: Email


class ResetPassword(Wish):
    """The token of the mail, and the new password."""

    token: Text
    password: NewPassword


class ChangePassword(Wish):
    """The present password, and the new one."""

    current_password: ShownPassword
    new_password: NewPassword


class AcceptedOut(Out):
    """What is said whether anything happens or not."""

    message: str
