"""The families of errors that services raise; the doors translate each family to one HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a wish, in words for the person who sent it."""

    field: str
    message: str


class DomainError(Exception):
    """A refusal with a stable `code`; the message says what to do next."""

    code = "ERROR"

    def __init__(
        self,
        message: str | None = None,
        *,
        errors: tuple[FieldError, ...] = (),
        members: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.message = str(self)
        self.errors = errors
        self.members = dict(members or {})
        """What a program needs beside the code: more members of the problem document."""


class NotFound(DomainError):
    """There is no such thing, or not for this caller."""

    code = "NOT_FOUND"


class Conflict(DomainError):
    """The wish contradicts the present state."""

    code = "CONFLICT"


class Denied(DomainError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"
    permission: str | None = None
    """What the caller lacks, where that is why."""

    @classmethod
    def without(cls, permission: str) -> Denied:
        """The refusal of a caller who lacks a permission."""
        error = cls(f"This needs the permission {permission}, which the caller does not have.")
        error.permission = permission
        return error


class Invalid(DomainError):
    """The wish itself is wrong."""

    code = "INVALID"


class TooMany(DomainError):
    """The caller asks more often than is allowed."""

    code = "TOO_MANY_REQUESTS"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int = 1) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(DomainError):
    """The server can't answer right now; the same wish may succeed in a moment."""

    code = "UNAVAILABLE"
    retry_after_seconds = 1


class Unauthenticated(DomainError):
    """Sign in, or send a valid API key."""

    code = "UNAUTHENTICATED"


class StepUpRequired(Denied):
    """Prove again that it is you: POST /api/auth/step-up with your password or a code, then repeat this."""

    code = "STEP_UP_REQUIRED"


class StepUpFailed(Denied):
    """This password or code is wrong; the session goes on as it was."""

    code = "STEP_UP_FAILED"


class SecondFactorSetupRequired(Denied):
    """Operators need a second factor here: POST /api/auth/second-factor, send a code of it to /confirm, then go on."""

    code = "SECOND_FACTOR_SETUP_REQUIRED"


class SecondFactorMissing(Denied):
    """This session has not shown the second factor yet: POST /api/auth/step-up with a code, then go on."""

    code = "SECOND_FACTOR_MISSING"


class SessionRequired(Denied):
    """This is about a person's session, and an API key has none; sign in."""

    code = "SESSION_REQUIRED"


class InvalidCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""

    code = "INVALID_CREDENTIALS"


class SecondFactorRequired(Unauthenticated):
    """The password is right, and this account has a second factor: send `code`, too."""

    code = "SECOND_FACTOR_REQUIRED"


class IdentityRefused(Unauthenticated):
    """The identity provider's answer proves nothing, or another browser began this; sign in anew."""

    code = "IDENTITY_REFUSED"


class NoAccountForIdentity(Denied):
    """You are known to the identity provider, and nobody here; ask an administrator for an account."""

    code = "NO_ACCOUNT_FOR_IDENTITY"


class InvalidSecondFactor(InvalidCredentials):
    """The code is wrong or was used before; wait for the next one, or use a recovery code."""

    code = "INVALID_SECOND_FACTOR"


class DatabaseUnavailable(Unavailable):
    """The database does not answer; try again in a moment."""

    code = "DATABASE_UNAVAILABLE"


class SchemaOutdated(Unavailable):
    """The schema of the database is not the one of this release; run: license-server migrate"""

    code = "SCHEMA_OUTDATED"


class EncryptionKeyMissing(Unavailable):
    """This was encrypted with a key that the server was not given; add that key to ENCRYPTION_KEY."""

    code = "ENCRYPTION_KEY_MISSING"


class DatabaseFull(Unavailable):
    """The disk of the database is full; nothing can be stored until the operator makes room."""

    code = "DATABASE_FULL"
    retry_after_seconds = 30


class Overloaded(Unavailable):
    """More questions wait than the server can answer in time; try again in a moment."""

    code = "OVERLOADED"


class IdentityProviderUnavailable(Unavailable):
    """The identity provider does not answer; try again in a moment, or sign in with your password."""

    code = "IDENTITY_PROVIDER_UNAVAILABLE"
    retry_after_seconds = 5


class IdentityProviderNotConfigured(NotFound):
    """People do not sign in at an identity provider here; set OIDC_ISSUER for that."""

    code = "IDENTITY_PROVIDER_NOT_CONFIGURED"


class RateLimited(TooMany):
    """This is more than the rate limit allows; wait as long as Retry-After says."""

    code = "RATE_LIMITED"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int) -> None:
        sentence = message or f"This is more than the rate limit allows; try again in {retry_after_seconds} s."
        super().__init__(sentence, retry_after_seconds=retry_after_seconds)


class RateLimitStoreUnavailable(Unavailable):
    """The store that counts for this rate limit is away, and the operator wants refusals meanwhile; try again soon."""

    code = "RATE_LIMIT_STORE_UNAVAILABLE"


class AlreadyExists(Conflict):
    """Something with this name exists already."""

    code = "ALREADY_EXISTS"


class OrganizationNotFound(NotFound):
    """There is no organization with this id."""

    code = "ORGANIZATION_NOT_FOUND"


class PlanNotFound(NotFound):
    """There is no plan with this id."""

    code = "PLAN_NOT_FOUND"


class ProductNotFound(NotFound):
    """There is no product with this id."""

    code = "PRODUCT_NOT_FOUND"


class InstallationNotFound(NotFound):
    """There is no installation in DATA_DIR; only `serve` and `migrate` make one."""

    code = "INSTALLATION_NOT_FOUND"


class LicenseNotFound(NotFound):
    """There is no license with this id."""

    code = "LICENSE_NOT_FOUND"


class MachineNotFound(NotFound):
    """This license has no machine with this id."""

    code = "MACHINE_NOT_FOUND"


class ApiKeyNotFound(NotFound):
    """There is no API key with this id."""

    code = "API_KEY_NOT_FOUND"


class ApiKeyStateConflict(Conflict):
    """The API key is not in a state in which this can be done."""

    code = "API_KEY_STATE_CONFLICT"


class UserNotFound(NotFound):
    """There is no user with this id."""

    code = "USER_NOT_FOUND"


class AuditEventNotFound(NotFound):
    """There is no event with this id in the audit trail."""

    code = "AUDIT_EVENT_NOT_FOUND"


class SessionNotFound(NotFound):
    """There is no session with this id that goes on."""

    code = "SESSION_NOT_FOUND"


class NoSecondFactor(Conflict):
    """No second factor is set up, or none waits to be confirmed; begin with POST /api/auth/second-factor."""

    code = "NO_SECOND_FACTOR"


class SecondFactorMandatory(Conflict):
    """Operators must keep a second factor on this server; set up a new one instead, which replaces it."""

    code = "SECOND_FACTOR_MANDATORY"


class WrongSecondFactorCode(Invalid):
    """The code does not fit the new secret; check the clock of the device and send the next one."""

    code = "WRONG_SECOND_FACTOR_CODE"


class InvitationNotFound(NotFound):
    """There is no invitation with this id."""

    code = "INVITATION_NOT_FOUND"


class LastOperator(Conflict):
    """This is the last operator who can sign in; make another one first."""

    code = "LAST_OPERATOR"


class OwnAccount(Conflict):
    """Nobody changes the role of their own account, resets its second factor, disables or deletes it; ask somebody."""

    code = "OWN_ACCOUNT"


class InvalidToken(Invalid):
    """This code is unknown, used, revoked or expired; ask for a new one."""

    code = "INVALID_TOKEN"


class WeakPassword(Invalid):
    """This password is too easy to guess."""

    code = "WEAK_PASSWORD"


class WrongPassword(Denied):
    """`currentPassword` is not your password."""

    code = "WRONG_PASSWORD"


class MailNotConfigured(Unavailable):
    """This server sends no mail; ask its operator, who can run: license-server reset-password"""

    code = "MAIL_NOT_CONFIGURED"
    retry_after_seconds = 3600


class LicenseKeyTaken(Conflict):
    """A license with this license key exists already; every license key is unique."""

    code = "LICENSE_KEY_TAKEN"


class LicenseStateConflict(Conflict):
    """The license is not in a state in which this can be done."""

    code = "LICENSE_STATE_CONFLICT"


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key was used with another request; send a new one."""

    code = "IDEMPOTENCY_KEY_REUSED"


class UnknownProducts(Invalid):
    """`allowedProducts` names products that do not exist; create them first."""

    code = "UNKNOWN_PRODUCTS"


class TooManyProducts(Invalid):
    """`allowedProducts` names more products than `maxProducts` allows."""

    code = "TOO_MANY_PRODUCTS"


class InvalidPeriod(Invalid):
    """The end of the license lies before its start."""

    code = "INVALID_PERIOD"


class InvalidCursor(Invalid):
    """`cursor` is not one that this server gave; start again without it."""

    code = "INVALID_CURSOR"


class WindowTooLarge(Invalid):
    """There is too much in this window to add it up in time; ask for a shorter one."""

    code = "WINDOW_TOO_LARGE"


class NoFreeSeat(Conflict):
    """All seats of this license are taken; remove a machine or raise `maxMachines`."""

    code = "NO_FREE_SEAT"
