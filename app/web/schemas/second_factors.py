"""Second factors in JSON."""

from __future__ import annotations

from app.web.schemas.authentication import Code
from app.web.schemas.base import Out, Wish


class ConfirmSecondFactor(Wish):
    """A code that the device shows for the new secret."""

    code: Code


class NewSecretOut(Out):
    """What a device needs to show codes, as text and as an address for a QR code; shown only here."""

    secret: str
    uri: str


class RecoveryCodesOut(Out):
    """Codes that stand in for the device once each; shown only here."""

    recovery_codes: list[str]
