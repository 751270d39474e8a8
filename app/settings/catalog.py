"""The list of all settings, each with its meaning and default."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from app.settings.values import (
    Addresses,
    AgeKeys,
    AnySecret,
    AwayPolicies,
    BearerToken,
    Bucket,
    ByteLimit,
    ByteRate,
    CacheUrl,
    DatabaseUrl,
    Days,
    DaysOrOff,
    Directory,
    Email,
    Emails,
    FernetKeys,
    Flag,
    Format,
    Host,
    Level,
    LogLevel,
    MailEncryption,
    Networks,
    Origins,
    Password,
    Port,
    Rate,
    RateLimit,
    RateLimitPolicy,
    RatePeriod,
    Right,
    RoutingKey,
    SmtpTls,
    StoreAway,
    StoreAwayRules,
    Text,
    WebAddress,
    WebhookUrl,
)

_LATER = (
    "ALERT_EMAIL_TO",
    "PAGERDUTY_",
    "SLACK_",
)


@dataclass(frozen=True, slots=True)
class Given:
    """A setting as somebody has written it, and where: the environment, `.env`, or a file with a secret."""

    name: str
    value: str = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class _Origins:
    """What settings were read from, which makes them no others."""

    given: tuple[Given, ...] = field(default=(), compare=False)


class Settings(BaseModel):
    """Every setting with its value; the environment name is the attribute's name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    _origins: _Origins = PrivateAttr(_Origins())

    host: Host = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 listens on all.")
    port: Port = Field(3001, description="TCP port to listen on; 0 takes any free port.")
    web_concurrency: Annotated[int, Right("a whole number from 1 to 64")] = Field(
        1, ge=1, le=64, description="How many server processes share the port."
    )
    max_body_bytes: Annotated[int, Right("a whole number from 1024 to 104857600")] = Field(
        1048576,
        ge=1024,
        le=104857600,
        description="Largest request body that is read; a larger one is answered 413.",
    )
    drain_seconds: Annotated[float, Right("a number from 0 to 300")] = Field(
        5.0,
        ge=0,
        le=300,
        allow_inf_nan=False,
        description="Seconds a stopping server still answers while load balancers turn away.",
    )
    cors_origin: Origins = Field(
        (),
        description="Origins whose web pages may call the API, comma separated, or *; none when not set.",
    )
    trusted_proxies: Networks = Field(
        (),
        description="Networks of the proxies whose X-Forwarded-For is believed, comma separated; when not "
        "set, the peer is the client.",
    )

    public_url: WebAddress = Field(
        None,
        description="Address at which people reach this server, for links in mail and sign-in at an identity provider.",
    )
    outbound_allowed_networks: Networks = Field(
        (),
        description="Private networks that the server may call all the same, comma separated; otherwise it calls "
        "only public addresses.",
    )

    data_dir: Directory = Field(
        Path("data"), description="Directory for the embedded PostgreSQL, generated keys and local backups."
    )
    database_url: DatabaseUrl = Field(
        None,
        description="Secret. PostgreSQL (15 to 18) to use; when not set, one is started under DATA_DIR.",
    )
    database_direct_url: DatabaseUrl = Field(
        None,
        description="Secret. The same database past a transaction-mode pooler, perhaps as the role that owns the "
        "tables, for migrations and maintenance; DATABASE_URL when not set.",
    )
    database_pool_size: Annotated[int, Right("a whole number from 1 to 1000")] = Field(
        10, ge=1, le=1000, description="Most database connections one server process keeps."
    )
    database_migrate_on_start: Flag = Field(
        True,
        description="Whether `serve` migrates the database first; if false, it is not ready until "
        "`license-server migrate` was run.",
    )
    database_size_limit: ByteLimit = Field(
        None,
        description="Largest size the database should reach, such as 20G; when not set, what fits on the disk of "
        "an embedded one.",
    )
    schedules_enabled: Flag = Field(
        True,
        description="Whether the server starts what its schedules want; if false, let a cron run "
        "`license-server schedules run-due`.",
    )

    encryption_key: FernetKeys = Field(
        None,
        description="Secret. Keys that encrypt what is stored, comma separated: the first encrypts, all "
        "decrypt; required with DATABASE_URL, otherwise one is made and kept in DATA_DIR. "
        "`license-server generate-key` makes one.",
    )
    admin_email: Email = Field("admin@example.com", description="E-mail address of the first operator.")
    admin_password: Password = Field(
        None,
        description="Secret. Password of the first operator, at least 12 characters; when not set, one is "
        "made and printed once.",
    )
    operator_second_factor_required: Flag = Field(
        False, description="Whether operators must set up a second factor before they may do anything else."
    )
    oidc_issuer: WebAddress = Field(
        None, description="Issuer address of an OpenID Connect identity provider that people may sign in with."
    )
    oidc_client_id: Text | None = Field(None, description="This server's client id at the identity provider.")
    oidc_client_secret: AnySecret = Field(
        None, description="Secret. This server's client secret at the identity provider."
    )
    registration_enabled: Flag = Field(False, description="Whether anyone may register an organization.")
    metrics_token: BearerToken = Field(
        None,
        description="Secret. Bearer token that /metrics asks for, at least 16 characters; when not set, "
        "/metrics is open.",
    )

    log_level: Level = Field(
        LogLevel.INFO, description="Least important lines logged: error, warn, info, debug, verbose."
    )
    log_format: Format = Field(
        None, description="json or console; when not set, console on a terminal and json everywhere else."
    )

    redis_url: CacheUrl = Field(
        None,
        description="Secret. Valkey or Redis that shares rate limits between servers; when not set, each "
        "process counts alone.",
    )
    rate_limit_validate: Rate = Field(
        RateLimit(3000, RatePeriod.MINUTE),
        description="Validations from one address, as count/period, or off.",
    )
    rate_limit_validate_key: Rate = Field(
        RateLimit(6000, RatePeriod.MINUTE),
        description="Validations of one license key, as count/period, or off.",
    )
    rate_limit_guess: Rate = Field(
        RateLimit(60, RatePeriod.MINUTE),
        description="Unknown license keys from one address, as count/period, or off; then it is only answered for "
        "license keys that are known.",
    )
    rate_limit_login: Rate = Field(
        RateLimit(5, RatePeriod.MINUTE),
        description="Failed logins on one account, as count/period, or off.",
    )
    rate_limit_login_address: Rate = Field(
        RateLimit(30, RatePeriod.MINUTE),
        description="Failed logins from one address, on whatever accounts, as count/period, or off.",
    )
    rate_limit_api: Rate = Field(
        RateLimit(1200, RatePeriod.MINUTE),
        description="Requests with one API key or session, as count/period, or off.",
    )
    rate_limit_admin: Rate = Field(
        RateLimit(120, RatePeriod.MINUTE),
        description="Requests of one operator to /admin, as count/period, or off.",
    )
    rate_limit_registration: Rate = Field(
        RateLimit(5, RatePeriod.HOUR), description="Registrations from one address, as count/period, or off."
    )
    rate_limit_anonymous: Rate = Field(
        RateLimit(300, RatePeriod.MINUTE),
        description="Other requests without a credential from one address, as count/period, or off.",
    )

    rate_limit_shadow: Flag = Field(
        False, description="Whether limits are only counted and told, and nobody is refused."
    )
    rate_limit_store_away: AwayPolicies = Field(
        StoreAwayRules(StoreAway.OWN),
        description="What limits do while REDIS_URL is away: own (each process counts alone), open (let pass) or "
        "closed (refuse); exceptions by policy.",
    )

    validation_retention_days: Days = Field(
        90, description="How many days an answered validation is kept before it is archived and removed."
    )
    audit_retention_days: DaysOrOff = Field(
        730,
        description="How many days a change stays in the audit trail before it is archived and removed, or off; then "
        "it stays for ever.",
    )
    archive_dir: Directory = Field(
        default_factory=lambda given: given["data_dir"] / "archive",
        description="Directory for archives of what was removed; when not set, `archive` under DATA_DIR.",
    )

    backup_dir: Directory = Field(
        default_factory=lambda given: given["data_dir"] / "backups",
        description="Directory for local backups; when not set, `backups` under DATA_DIR.",
    )
    backup_s3_url: Bucket | None = Field(
        None, description="Bucket and prefix that backups are copied to; not copied when not set."
    )
    backup_s3_endpoint: WebAddress = Field(
        None, description="Address of an S3 server that is not Amazon's; Amazon's when not set."
    )
    backup_s3_region: Text | None = Field(None, description="Region of the bucket; us-east-1 when not set.")
    backup_s3_access_key_id: Text | None = Field(
        None, description="Access key for the bucket; when not set, what the environment or the machine's role gives."
    )
    backup_s3_secret_access_key: AnySecret = Field(None, description="Secret. The secret of that access key.")
    backup_encryption_key: AgeKeys = Field(
        None,
        description="Secret. Keys that encrypt backups, comma separated: the first encrypts, all decrypt; backups are "
        "not encrypted when not set. `license-server backups generate-key` makes one.",
    )
    backup_rate: ByteRate = Field(
        32 * 1024**2,
        description="Most bytes a second that a backup reads from the database, or off; so validation keeps its speed.",
    )
    backup_retention_days: Days = Field(30, description="How many days every backup is kept.")
    backup_retention_weeks: Annotated[int, Right("a whole number from 0 to 520")] = Field(
        0, ge=0, le=520, description="For how many weeks the newest verified backup of each week is kept."
    )
    backup_retention_months: Annotated[int, Right("a whole number from 0 to 120")] = Field(
        0, ge=0, le=120, description="For how many months the newest verified backup of each month is kept."
    )
    backup_keep_verified: Annotated[int, Right("a whole number from 1 to 100")] = Field(
        3, ge=1, le=100, description="How many verified backups are always kept, whatever their age."
    )
    verify_database_url: DatabaseUrl = Field(
        None,
        description="Secret. PostgreSQL on which backups are restored on trial, in databases made for it; the "
        "server's own when not set.",
    )

    smtp_host: Host | None = Field(None, description="Mail server; no mail is sent when not set.")
    smtp_port: Annotated[int, Right("a whole number from 1 to 65535")] = Field(
        587, ge=1, le=65535, description="Port of the mail server."
    )
    smtp_username: Text | None = Field(None, description="User at the mail server; no login when not set.")
    smtp_password: AnySecret = Field(None, description="Secret. Password at the mail server.")
    smtp_from: Email | None = Field(None, description="Sender of the server's mail; ADMIN_EMAIL when not set.")
    smtp_tls: MailEncryption = Field(
        SmtpTls.STARTTLS,
        description="Encryption towards the mail server: starttls, implicit (port 465) or none.",
    )
    alert_email_to: Emails = Field((), description="Who gets alerts by mail, comma separated; nobody when not set.")
    slack_webhook_url: WebhookUrl = Field(None, description="Secret. Slack incoming webhook that alerts are posted to.")
    pagerduty_routing_key: RoutingKey = Field(
        None, description="Secret. PagerDuty integration key (Events API v2) that alerts are sent to."
    )
    tls_probe_hosts: Addresses = Field(
        (),
        description="Hosts whose TLS certificates are watched, comma separated; port 443 when none is given.",
    )

    @property
    def given(self) -> tuple[Given, ...]:
        """What somebody has written, by name; empty for settings that were not read from anywhere."""
        return self._origins.given

    def with_given(self, given: Iterable[Given]) -> Self:
        """These settings, which know what they were read from."""
        copy = self.model_copy()
        copy._origins = _Origins(tuple(given))
        return copy

    @property
    def rate_limits(self) -> Mapping[RateLimitPolicy, RateLimit | None]:
        """Each policy's limit; None is no limit."""
        return MappingProxyType({policy: getattr(self, f"rate_limit_{policy}") for policy in RateLimitPolicy})

    def direct_url(self, url: str) -> str:
        """Where migrations and maintenance connect to, when the server itself connects to this address."""
        return self.database_direct_url.get_secret_value() if self.database_direct_url else url

    def backup_keys(self) -> tuple[str, ...]:
        """The age identities in order, the encrypting one first; empty when backups are not encrypted."""
        return tuple(self.backup_encryption_key.get_secret_value().split(",")) if self.backup_encryption_key else ()

    def encryption_keys(self) -> tuple[str, ...]:
        """The Fernet keys in order, the encrypting one first; empty when none are set."""
        return tuple(self.encryption_key.get_secret_value().split(",")) if self.encryption_key else ()

    def ignored_names(self) -> tuple[str, ...]:
        """The settings somebody set although this release does not use them yet, sorted."""
        return tuple(sorted(NOT_YET_USED & {name.upper() for name in self.model_fields_set}))


SETTING_NAMES = tuple(name.upper() for name in Settings.model_fields)
SECRET_NAMES = frozenset(
    name.upper() for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation)
)
NOT_YET_USED = frozenset(name for name in SETTING_NAMES if name.startswith(_LATER))
