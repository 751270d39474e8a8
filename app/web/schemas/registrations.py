"""Registrations in JSON."""

from __future__ import annotations

from app.web.schemas.base import Email, NewPassword, Text, Wish
from app.web.schemas.organizations import CreateOrganization


class RegisteringUser(Wish):
    """Who registers: an address of the organization's domain."""

    email: Email
    name: Text


class Register(Wish):
    """An organization and its first admin."""

    organization: CreateOrganization
    user: RegisteringUser


class ConfirmRegistration(Wish):
    """The token of the mail, and the password of the first admin."""

    token: Text
    password: NewPassword
