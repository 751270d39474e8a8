"""Settings: what a value means, and which sentence a wrong or contradictory one gives."""

import base64
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from app.settings import (
    NOT_YET_USED,
    SECRET_NAMES,
    SETTING_NAMES,
    LogFormat,
    LogLevel,
    RateLimit,
    RateLimitPolicy,
    RatePeriod,
    Settings,
    SettingsError,
    load_settings,
)

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
OLDER_KEY = base64.urlsafe_b64encode(b"o" * 32).decode()


def load(**environ: str) -> Settings:
    return load_settings(environ, None)


def refusal(environ: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, None)
    return str(caught.value)


def sentences_about(environ: Mapping[str, str]) -> list[str]:
    try:
        load_settings(environ, None)
    except SettingsError as error:
        return str(error).split("\n")
    return []


class TestValues:
    def test_nothing_set_gives_the_documented_defaults(self) -> None:
        loaded = load()

        assert (loaded.host, loaded.port, loaded.log_level) == ("127.0.0.1", 3001, LogLevel.INFO)
        assert loaded.database_url is None
        assert loaded.backup_dir == Path("data/backups")
        assert loaded.database_migrate_on_start is True

    def test_backups_follow_the_data_directory_unless_told_otherwise(self) -> None:
        assert load(DATA_DIR="/srv/licenses").backup_dir == Path("/srv/licenses/backups")
        assert load(DATA_DIR="/srv/licenses", BACKUP_DIR="/backups").backup_dir == Path("/backups")

    def test_settings_cannot_be_changed(self) -> None:
        loaded = load()

        with pytest.raises(ValidationError):
            loaded.port = 1  # type: ignore[misc]  # the refusal is the test

    @pytest.mark.parametrize(
        "written",
        [
            "postgres://u:p@db/licenses",
            "postgresql+psycopg://u:p@db/licenses",
            "POSTGRESQL://u:p@db/licenses",
        ],
    )
    def test_every_spelling_of_a_database_url_becomes_the_one_libpq_knows(self, written: str) -> None:
        url = load(DATABASE_URL=written, ENCRYPTION_KEY=KEY).database_url

        assert url is not None
        assert url.get_secret_value() == "postgresql://u:p@db/licenses"

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql:///licenses?host=/run/postgresql",
            "postgresql://u:p%40ss@[::1]:5432/licenses?sslmode=require",
            "postgresql://a.example.com:5432,b.example.com:5433/licenses?target_session_attrs=read-write",
        ],
    )
    def test_sockets_and_several_hosts_are_database_urls_too(self, url: str) -> None:
        loaded = load(DATABASE_URL=url, ENCRYPTION_KEY=KEY).database_url

        assert loaded is not None
        assert loaded.get_secret_value() == url

    def test_lists_are_separated_by_commas(self) -> None:
        loaded = load(
            CORS_ORIGIN="https://Portal.example.com, http://localhost:5173",
            TRUSTED_PROXIES="10.0.0.0/8,fd00::/8,192.168.1.7",
            SMTP_HOST="mail.example.com",
            ALERT_EMAIL_TO="ops@example.com,oncall@example.com",
            TLS_PROBE_HOSTS="licenses.example.com,[::1]:8443,",
        )

        assert loaded.cors_origin == ("https://portal.example.com", "http://localhost:5173")
        assert loaded.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "192.168.1.7/32")))
        assert loaded.alert_email_to == ("ops@example.com", "oncall@example.com")
        assert loaded.tls_probe_hosts == ("licenses.example.com", "[::1]:8443")

    def test_the_first_encryption_key_comes_first(self) -> None:
        assert load(ENCRYPTION_KEY=f"{KEY}, {OLDER_KEY}").encryption_keys() == (KEY, OLDER_KEY)
        assert load().encryption_keys() == ()

    def test_log_settings_ignore_case(self) -> None:
        loaded = load(LOG_LEVEL="VERBOSE", LOG_FORMAT="Console")

        assert (loaded.log_level, loaded.log_format) == (LogLevel.VERBOSE, LogFormat.CONSOLE)

    @pytest.mark.parametrize(
        ("text", "size"), [("1", 1), ("2048", 2048), ("3K", 3072), ("1m", 1 << 20), ("20G", 20 << 30), ("2T", 2 << 40)]
    )
    def test_a_size_is_a_number_of_bytes_or_of_larger_units(self, text: str, size: int) -> None:
        assert load(DATABASE_SIZE_LIMIT=text).database_size_limit == size

    def test_every_rate_limit_policy_has_its_setting(self) -> None:
        limits = load(RATE_LIMIT_LOGIN="10/hour", RATE_LIMIT_API="off").rate_limits

        assert set(limits) == set(RateLimitPolicy)
        assert limits[RateLimitPolicy.LOGIN] == RateLimit(10, RatePeriod.HOUR)
        assert limits[RateLimitPolicy.API] is None
        assert str(limits[RateLimitPolicy.VALIDATE]) == "3000/minute"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PORT", "65536"),
            ("PORT", "-1"),
            ("PORT", "http"),
            ("HOST", "http://0.0.0.0"),
            ("HOST", "0.0.0.0:3001"),
            ("DATABASE_URL", "mysql://u:p@db/licenses"),
            ("DATABASE_URL", "postgresql://u:p@db"),
            ("DATABASE_URL", "postgresql://u:p@db/"),
            ("DATABASE_URL", "postgresql://u:p@db:port/licenses"),
            ("DATABASE_URL", "postgresql://u:p@db:70000/licenses"),
            ("DATABASE_URL", "postgresql://u:p@ss@db/licenses"),
            ("DATABASE_URL", "postgresql://u:p#ss@db/licenses"),
            ("DATABASE_URL", "postgresql://u:100%@db/licenses"),
            ("DATABASE_URL", "postgresql://[db/licenses"),
            ("DATA_DIR", "~/data"),
            ("DATA_DIR", "da\0ta"),
            ("LOG_LEVEL", "trace"),
            ("LOG_FORMAT", "xml"),
            ("ADMIN_EMAIL", "admin"),
            ("ADMIN_PASSWORD", "eleven-char"),
            ("ENCRYPTION_KEY", "c2hvcnQ="),
            ("ENCRYPTION_KEY", f"{KEY},"),
            ("CORS_ORIGIN", "*,https://portal.example.com"),
            ("CORS_ORIGIN", "https://portal.example.com/"),
            ("CORS_ORIGIN", "portal.example.com"),
            ("CORS_ORIGIN", "https://portal.example.com:0"),
            ("TRUSTED_PROXIES", "10.0.0.1/8"),
            ("TRUSTED_PROXIES", "proxy.example.com"),
            ("REDIS_URL", "http://cache:6379"),
            ("REDIS_URL", "redis://"),
            ("REDIS_URL", "redis://cache:many"),
            ("REDIS_URL", "unix://"),
            *(("DATABASE_SIZE_LIMIT", text) for text in ("0", "-1", "20GB", "20 G", "1.5G", "20P", "G", "1e9")),
            ("RATE_LIMIT_VALIDATE", "600"),
            ("RATE_LIMIT_VALIDATE", "0/minute"),
            ("RATE_LIMIT_VALIDATE", "600/week"),
            ("WEB_CONCURRENCY", "0"),
            ("WEB_CONCURRENCY", "65"),
            ("METRICS_TOKEN", "fifteen-letters"),
            ("METRICS_TOKEN", "sixteen letters!!"),
            ("BACKUP_S3_URL", "https://acme-backups.s3.amazonaws.com"),
            ("BACKUP_RETENTION_DAYS", "0"),
            ("SMTP_HOST", "smtp://mail.example.com"),
            ("SMTP_PORT", "0"),
            ("SMTP_TLS", "yes"),
            ("SMTP_FROM", "License Server"),
            ("ALERT_EMAIL_TO", "ops@example.com,oncall"),
            ("SLACK_WEBHOOK_URL", "http://hooks.slack.example/services/T/B/X"),
            ("PAGERDUTY_ROUTING_KEY", "short"),
            ("TLS_PROBE_HOSTS", "https://licenses.example.com"),
            ("TLS_PROBE_HOSTS", "licenses.example.com:0"),
            ("DRAIN_SECONDS", "301"),
            ("DRAIN_SECONDS", "nan"),
            ("DATABASE_POOL_SIZE", "0"),
            ("MAX_BODY_BYTES", "1MiB"),
            ("DATABASE_MIGRATE_ON_START", "maybe"),
            ("REGISTRATION_ENABLED", "2"),
        ],
    )
    def test_a_wrong_value_stops_the_start_and_names_the_setting(self, name: str, value: str) -> None:
        companions = {"DATABASE_URL": {"ENCRYPTION_KEY": KEY}}.get(name, {})
        if name.startswith("SMTP_") or name == "ALERT_EMAIL_TO":
            companions = {"SMTP_HOST": "mail.example.com"}

        sentence = refusal({**companions, name: value})

        assert sentence.startswith(f"{name} must be ")
        assert sentence.endswith(".")
        assert "\n" not in sentence

    def test_the_sentence_says_what_would_be_right(self) -> None:
        assert refusal({"PORT": "http"}) == ("PORT must be a whole number from 0 to 65535 (0 takes any free port).")
        assert refusal({"SMTP_HOST": "smtp://mail"}) == (
            "SMTP_HOST must be an IP address or a host name, without scheme and port, such as 0.0.0.0."
        )

    def test_all_problems_are_told_at_once(self) -> None:
        sentences = refusal({"PORT": "x", "DATA_DIR": "~", "DATABSE_URL": "y", "SMTP_FROM": "a@example.com"})

        assert [line.split()[0] for line in sentences.splitlines()] == [
            "DATABSE_URL",
            "SMTP_FROM",
            "DATA_DIR",
            "PORT",
        ]


class TestContradictions:
    def test_a_database_url_needs_an_encryption_key(self) -> None:
        assert refusal({"DATABASE_URL": "postgresql://db/licenses"}) == (
            "DATABASE_URL is set without ENCRYPTION_KEY; make one with `license-server generate-key`, set it "
            "and keep it safe."
        )

    def test_a_mail_user_needs_a_password_and_the_other_way_round(self) -> None:
        host = {"SMTP_HOST": "mail.example.com"}

        assert refusal({**host, "SMTP_USERNAME": "me"}) == (
            "SMTP_USERNAME is set without SMTP_PASSWORD; set both or neither."
        )
        assert refusal({**host, "SMTP_PASSWORD": "secret"}) == (
            "SMTP_PASSWORD is set without SMTP_USERNAME; set both or neither."
        )

    def test_registration_needs_a_mail_server(self) -> None:
        assert refusal({"REGISTRATION_ENABLED": "true"}) == (
            "REGISTRATION_ENABLED needs SMTP_HOST: whoever registers confirms the address by mail."
        )
        assert not load_settings({"REGISTRATION_ENABLED": "false"}, None).registration_enabled

    @pytest.mark.parametrize(("name", "value"), [("SMTP_PORT", "25"), ("ALERT_EMAIL_TO", "ops@example.com")])
    def test_mail_settings_need_a_mail_server(self, name: str, value: str) -> None:
        assert refusal({name: value}) == (
            f"{name} is set without SMTP_HOST; set SMTP_HOST to the mail server, or remove {name}."
        )


class TestNotYetUsed:
    def test_only_what_was_set_is_told(self) -> None:
        assert load(PORT="4000").ignored_names() == ()
        assert load(
            SLACK_WEBHOOK_URL="https://a.example/b", PAGERDUTY_ROUTING_KEY="0" * 32, PORT="1"
        ).ignored_names() == (
            "PAGERDUTY_ROUTING_KEY",
            "SLACK_WEBHOOK_URL",
        )

    def test_the_settings_of_this_release_are_not_among_them(self) -> None:
        assert not NOT_YET_USED & {"PORT", "DATABASE_URL", "METRICS_TOKEN", "TRUSTED_PROXIES", "CORS_ORIGIN"}
        assert set(SETTING_NAMES) > NOT_YET_USED


class TestHostileValues:
    @settings(deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from([*SETTING_NAMES, *(f"{name}_FILE" for name in sorted(SECRET_NAMES))])
            | st.text(max_size=30),
            st.text(max_size=60) | st.sampled_from(["postgresql://[", "redis://x:y", "https://[::", "s3://", "1e999"]),
        )
    )
    def test_junk_gives_settings_or_a_settings_error(self, environ: dict[str, str]) -> None:
        sentences = sentences_about(environ)

        assert all(sentence.endswith((".", "?")) for sentence in sentences)

    @settings(deadline=None)
    @given(
        name=st.sampled_from(sorted(SECRET_NAMES)),
        secret=st.text("0123456789:/@#%", min_size=12, max_size=40),
    )
    def test_a_secret_is_never_told(self, name: str, secret: str) -> None:
        environ = {
            "SMTP_HOST": "mail.example.com",
            "SMTP_USERNAME": "me",
            "SMTP_PASSWORD": "x",
            "ENCRYPTION_KEY": KEY,
        }
        environ[name] = secret
        try:
            told = repr(load_settings(environ, None))
        except SettingsError as error:
            told = str(error)

        assert secret not in told

    def test_a_valid_secret_is_not_shown_by_the_settings(self) -> None:
        loaded = load(ADMIN_PASSWORD="correct-horse", DATABASE_URL="postgres://u:hunter2@db/x", ENCRYPTION_KEY=KEY)

        assert "correct-horse" not in repr(loaded) + str(loaded)
        assert "hunter2" not in repr(loaded) + str(loaded.model_dump())
        assert KEY not in repr(loaded)
