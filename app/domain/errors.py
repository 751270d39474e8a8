"""The families of errors that services raise; the doors translate each family to one HTTP status."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a wish, in words for the person who sent it."""

    field: str
    message: str


class DomainError(Exception):
    """A refusal with a stable `code`; the message says what to do next."""

    code = "ERROR"

    def __init__(self, message: str | None = None, *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.message = str(self)
        self.errors = errors


class NotFound(DomainError):
    """There is no such thing, or not for this caller."""

    code = "NOT_FOUND"


class Conflict(DomainError):
    """The wish contradicts the present state."""

    code = "CONFLICT"


class Denied(DomainError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"


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


class InvalidCredentials(Unauthenticated):
    """The e-mail address or the password is wrong."""

    code = "INVALID_CREDENTIALS"


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


class RateLimited(TooMany):
    """This is more than the rate limit allows; wait as long as Retry-After says."""

    code = "RATE_LIMITED"


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


class UserNotFound(NotFound):
    """There is no user with this id."""

    code = "USER_NOT_FOUND"


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


class NoFreeSeat(Conflict):
    """All seats of this license are taken; remove a machine or raise `maxMachines`."""

    code = "NO_FREE_SEAT"
