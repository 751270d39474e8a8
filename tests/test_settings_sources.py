"""Settings: where they are read from, which source wins, and which strange names stop the start."""

import base64
import contextlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.settings import SECRET_NAMES, LogLevel, Settings, SettingsError, load_settings

KEY = base64.urlsafe_b64encode(b"k" * 32).decode()
ORDINARY = {
    "debian": """
    PATH HOME LOGNAME USER PWD OLDPWD SHELL SHLVL TERM LANG LC_ALL MAIL HOSTNAME EDITOR TZ DISPLAY _ LS_COLORS
    SSH_CONNECTION SSH_AUTH_SOCK XDG_DATA_DIRS XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS SUDO_USER
    DEBIAN_FRONTEND HTTP_PROXY http_proxy NO_PROXY VIRTUAL_ENV port host hostname INVOCATION_ID JOURNAL_STREAM
    SYSTEMD_EXEC_PID NOTIFY_SOCKET CREDENTIALS_DIRECTORY STATE_DIRECTORY
    """,
    "docker": """
    HOSTNAME PYTHON_VERSION PYTHON_SHA256 GPG_KEY LANG container PGDATA PG_MAJOR PGHOST PGPORT
    POSTGRES_PASSWORD POSTGRES_DB COMPOSE_FILE DOCKER_HOST DOCKER_BUILDKIT SSL_CERT_FILE MALLOC_ARENA_MAX
    """,
    "kubernetes": """
    KUBERNETES_PORT KUBERNETES_PORT_443_TCP KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT_HTTPS POD_NAME
    POD_IP NODE_NAME POD_NAMESPACE DATABASE_HOST DATABASE_PORT DATABASE_NAME DATABASE_USER DATABASE_PASSWORD
    REDIS_HOST REDIS_PORT LICENSE_SERVER_URL
    """,
    "github actions": """
    CI GITHUB_ACTIONS GITHUB_TOKEN GITHUB_REPOSITORY GITHUB_SERVER_URL GITHUB_API_URL GITHUB_WORKSPACE ImageOS
    RUNNER_OS RUNNER_TEMP RUNNER_TOOL_CACHE JAVA_HOME_17_X64 AGENT_TOOLSDIRECTORY ACTIONS_CACHE_URL
    """,
}


def refusal(environ: Mapping[str, str], env_file: Path | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, env_file)
    return str(caught.value)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestSecretFiles:
    @pytest.mark.parametrize("name", sorted(SECRET_NAMES))
    def test_every_secret_can_come_from_a_file(self, name: str, tmp_path: Path) -> None:
        values = {
            "DATABASE_URL": "postgresql://db/licenses",
            "DATABASE_DIRECT_URL": "postgresql://owner@db/licenses",
            "ENCRYPTION_KEY": KEY,
            "REDIS_URL": "unix:///run/valkey.sock",
            "VERIFY_DATABASE_URL": "postgresql://verifier@db/postgres",
            "BACKUP_ENCRYPTION_KEY": f"AGE-SECRET-KEY-1{'Q' * 58}",
            "SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T/B/X",
            "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
        }
        secret = values.get(name, "a long enough secret".replace(" ", "-"))
        environ = {
            "DATABASE_URL": "postgresql://db/licenses",
            "ENCRYPTION_KEY": KEY,
            "SMTP_HOST": "mail.example.com",
            "SMTP_USERNAME": "me",
            "SMTP_PASSWORD": "secret",
            "PUBLIC_URL": "https://licenses.example.com",
            "OIDC_ISSUER": "https://id.example.com",
            "OIDC_CLIENT_ID": "license-server",
            "OIDC_CLIENT_SECRET": "secret",
            f"{name}_FILE": str(write(tmp_path / "secret", f"{secret}\n")),
        }
        if name == "DATABASE_DIRECT_URL":
            environ["DATABASE_URL"] = values["DATABASE_URL"]
        environ.pop(name, None)

        loaded = load_settings(environ, None)

        assert getattr(loaded, name.lower()).get_secret_value() == secret

    def test_the_environment_names_a_file_although_env_file_has_the_secret(self, tmp_path: Path) -> None:
        file = write(tmp_path / "token", "token-from-the-file")
        env_file = write(tmp_path / ".env", "METRICS_TOKEN=token-from-dotenv\n")

        loaded = load_settings({"METRICS_TOKEN_FILE": str(file)}, env_file)

        assert loaded.metrics_token is not None
        assert loaded.metrics_token.get_secret_value() == "token-from-the-file"

    @pytest.mark.parametrize(
        ("content", "cause"),
        [(b"", "empty"), (b" \n", "empty"), (b"\xff", "not UTF-8 text"), (b"x" * 70_000, "too large")],
    )
    def test_a_useless_file_stops_the_start(self, content: bytes, cause: str, tmp_path: Path) -> None:
        (tmp_path / "secret").write_bytes(content)

        sentence = refusal({"METRICS_TOKEN_FILE": str(tmp_path / "secret")})

        assert sentence == (f"METRICS_TOKEN_FILE must name a file that holds the value of METRICS_TOKEN ({cause}).")

    @pytest.mark.parametrize("path", ["/nowhere/secret", "/", "/dev/zero", "\0", "postgresql://u:hunter2@db/x"])
    def test_a_missing_file_stops_the_start_without_telling_what_was_written(self, path: str) -> None:
        sentence = refusal({"DATABASE_URL_FILE": path, "ENCRYPTION_KEY": KEY})

        assert sentence.startswith("DATABASE_URL_FILE must name a file")
        assert "hunter2" not in sentence

    def test_a_secret_comes_from_one_place(self, tmp_path: Path) -> None:
        file = write(tmp_path / "password", "from the file, long enough")

        sentence = refusal({"ADMIN_PASSWORD": "from the environment", "ADMIN_PASSWORD_FILE": str(file)})

        assert sentence == "ADMIN_PASSWORD and ADMIN_PASSWORD_FILE are both set; keep one of them."


class TestEnvFile:
    def test_values_are_read_and_the_environment_wins(self, tmp_path: Path) -> None:
        env_file = write(tmp_path / ".env", "\ufeff# ports\nexport PORT=4000\nHOST='0.0.0.0'\nLOG_LEVEL=debug # why\n")

        loaded = load_settings({"PORT": "5000", "LOG_LEVEL": ""}, env_file)

        assert (loaded.port, loaded.host, loaded.log_level) == (5000, "0.0.0.0", LogLevel.DEBUG)

    def test_no_file_and_a_directory_are_no_settings(self, tmp_path: Path) -> None:
        assert load_settings({}, tmp_path / "missing").port == 3001
        assert load_settings({}, tmp_path).port == 3001

    def test_an_unknown_name_stops_the_start_and_the_right_one_is_suggested(self, tmp_path: Path) -> None:
        env_file = write(tmp_path / ".env", "port=4000\nADMIN_PASWORD=x\nFLUX=1\n")

        assert refusal({}, env_file).splitlines() == [
            "ADMIN_PASWORD in .env is not a setting; did you mean ADMIN_PASSWORD?",
            "FLUX in .env is not a setting; remove it, or see .env.example for all settings.",
            "port in .env is not a setting; did you mean PORT?",
        ]

    def test_names_of_compose_and_postgres_are_left_alone(self, tmp_path: Path) -> None:
        env_file = write(tmp_path / ".env", "COMPOSE_PROJECT_NAME=a\nPOSTGRES_PASSWORD=b\nDOCKER_HOST=c\n")

        assert load_settings({}, env_file).ignored_names() == ()

    def test_a_broken_line_is_named_by_its_number(self, tmp_path: Path) -> None:
        env_file = write(tmp_path / "broken", "PORT=4000\nHOST='0.0.0.0\n")

        assert refusal({}, env_file) == (f"Line 2 of {env_file} is broken; it must be NAME=value or a # comment.")

    def test_a_file_that_is_not_text_stops_the_start(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes(b"PORT=\xff")

        assert "must be a readable UTF-8 text file" in refusal({}, tmp_path / ".env")

    @given(content=st.binary(max_size=200))
    @settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_a_junk_file_gives_settings_or_a_settings_error(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / ".env").write_bytes(content)

        with contextlib.suppress(SettingsError):
            assert isinstance(load_settings({}, tmp_path / ".env"), Settings)


class TestStrangersInTheEnvironment:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("DATABSE_URL", "DATABASE_URL"),
            ("CORS_ORIGINS", "CORS_ORIGIN"),
            ("RATE_LIMIT_LOGN", "RATE_LIMIT_LOGIN"),
            ("SMTP_USER", "SMTP_USERNAME"),
            ("BACKUP_S3", "BACKUP_S3_URL"),
            ("ADMIN_PASSWORD_FLE", "ADMIN_PASSWORD_FILE"),
        ],
    )
    def test_a_slip_of_the_pen_stops_the_start(self, name: str, meant: str) -> None:
        assert refusal({name: "x"}) == f"{name} is not a setting; did you mean {meant}?"

    @pytest.mark.parametrize("names", ORDINARY.values(), ids=ORDINARY)
    def test_an_ordinary_environment_never_stops_the_start(self, names: str) -> None:
        environ = dict.fromkeys(names.split(), "something")

        assert load_settings(environ, None).model_fields_set == set()

    @pytest.mark.parametrize("service", ["LICENSE_SERVER", "SMTP", "BACKUP_S3", "RATE_LIMIT_API"])
    def test_kubernetes_service_links_are_not_settings(self, service: str) -> None:
        links = {
            f"{service}_SERVICE_HOST": "10.0.0.1",
            f"{service}_SERVICE_PORT": "25",
            f"{service}_SERVICE_PORT_HTTP_ALT": "25",
            f"{service}_PORT": "tcp://10.0.0.1:25",
            f"{service}_PORT_25_TCP": "tcp://10.0.0.1:25",
            f"{service}_PORT_25_TCP_PROTO": "tcp",
            f"{service}_PORT_25_TCP_PORT": "25",
            f"{service}_PORT_25_TCP_ADDR": "10.0.0.1",
        }

        assert load_settings(links, None).model_fields_set == set()

    def test_a_mail_port_beside_a_service_named_smtp_is_still_a_setting(self) -> None:
        loaded = load_settings({"SMTP_SERVICE_HOST": "10.0.0.1", "SMTP_PORT": "2525", "SMTP_HOST": "smtp"}, None)

        assert loaded.smtp_port == 2525
