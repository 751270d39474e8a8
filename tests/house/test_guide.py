"""docs/operations.md maps the guide: each of its recipes has a row that says what does it, and what is named exists."""

from __future__ import annotations

import re
import shlex

import pytest

from app.domain.fitness import USUAL_SCHEDULES
from app.domain.reports import Period, SectionName, sections_of
from tests.house.container_files import ROOT, setting_names
from tests.house.test_docs import find_command

OPERATIONS = (ROOT / "docs/operations.md").read_text()
GUIDE = OPERATIONS.partition("## The guide, section by section")[2]

# The guide's recipes and tasks by section: words of the first cell of a row, and words of what does it now.
RECIPES = {
    "Performance monitoring": {
        "measures `/health`": "http_request_duration_seconds",
        "for the last requests": "one line a request",
        '`grep -c "HTTP"`': "http_requests_total",
        "`docker stats`, `df -h`": "license-server doctor",
        "`docker system df -v`": "license-server database tables",
        "`pg_database_size`": "license-server report weekly",
        "p95 above 2 s": "buckets reach 10 s",
        "API calls a day for each organization": "*later*",
        "`prom/prometheus:latest`": "*later*",
    },
    "Log management": {
        "`docker compose logs`": "license-server errors",
        "logrotate": "log driver",
        "Elasticsearch": "*later*",
        "Promtail": "*later*",
    },
    "Database monitoring": {
        "active connections": "license-server database connections",
        "connection details": "longest",
        "slow queries": "license-server database slow-queries",
        "table sizes": "license-server database tables",
        "index usage": "license-server database indexes",
        "unused indexes": "license-server database unused-indexes",
        "database size": "license-server report weekly",
        "table bloat": "license-server database bloat",
    },
    "Security monitoring": {
        "failed logins by address": "TRUSTED_PROXIES",
        "rate limit violations": "license_server_rate_limit_exceeded_total",
        "grep for `drop`": "grep malicious_",
        "unusual validation patterns": "the summary",
        "`openssl s_client ... -dates`": "license-server certificates",
        "days until the certificate expires": "license-server certificates",
    },
    "Backup and recovery": {
        "`backup-database.sh`": "license-server backup",
        "`find -mtime +30 -delete`": "license-server backups expire --dry-run",
        "crontab: daily": "[`daily-backup`](#schedules)",
        "crontab: weekly": "[`weekly-verify`](#schedules)",
        "`backup-to-s3.sh`": "BACKUP_S3_URL",
        "`restore-database.sh`": "license-server restore rollback",
        "`backup-config.sh`": "license-server configuration backup",
    },
    "Maintenance tasks": {
        "daily: `curl /health`": "`health`",
        "daily: `docker compose logs": "license-server errors",
        "daily: `docker stats": "`resources`",
        "crontab lines": "[schedules](#schedules)",
        "weekly: `VACUUM ANALYZE`": "license-server maintenance vacuum",
        "weekly: slow queries": "`slow_queries`",
        "weekly: `df -h`, `docker system df`": "`growth`",
        "weekly: grep for `failed`": "`security`",
        "monthly: `npm update`": "make audit",
        "monthly: delete `/var/log/*.log`": "[retention](#retention)",
        "monthly: `REINDEX DATABASE`": "license-server maintenance reindex",
        "monthly: `openssl s_client": "`certificates`",
        "monthly: test a restore": "license-server backups verify",
        "quarterly: review access logs": "license-server audit list",
        "quarterly: update passwords": "nothing",
        "quarterly: review API keys": "license-server api-keys rotate",
        "quarterly: unused accounts": "`accounts`",
        "quarterly: response times, query performance": "`performance`",
        "quarterly: optimize slow endpoints": "license-server database slow-queries",
        "quarterly: review indexes": "license-server database unused-indexes",
        "quarterly: growth, capacity": "`capacity`",
        "quarterly: scaling, allocation, infrastructure": "license-server doctor",
        "quarterly: disaster recovery test": "license-server drill",
        "quarterly: failover, documentation, training": "license-server doctor",
    },
}

CODES = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE))
NOT_OURS = {"HTTPS_PROXY", "SSL_CERT_FILE"}
"""Names of the environment that libraries know."""

each_section = pytest.mark.parametrize("section", RECIPES)


def section_text(name: str) -> str:
    """What stands below a heading of the guide's part, up to the next one of its kind."""
    return GUIDE.partition(f"\n### {name}\n")[2].partition("\n### ")[0]


def rows(section: str) -> list[tuple[str, str]]:
    """The first cell and the rest of each row of a section's first table, without its head."""
    table = re.search(r"(?:^\|.*\n)+", section_text(section), re.MULTILINE)
    assert table is not None, section
    cells = [line.strip("|\n ").partition(" | ") for line in table[0].splitlines()[2:]]
    return [(first, rest) for first, _, rest in cells]


@each_section
def test_every_recipe_of_the_guide_has_a_row_that_says_what_does_it(section: str) -> None:
    found = rows(section)

    for words, by in RECIPES[section].items():
        fitting = [rest for first, rest in found if first.startswith(words) or words in first]
        assert fitting, words
        assert any(by in rest for rest in fitting), (words, fitting)
    assert len(found) == len(RECIPES[section])


def test_sections_without_rows_say_that_they_come_later() -> None:
    for section in ("Alerting", "Monitoring dashboard"):
        assert section_text(section).lstrip().startswith("**Later**"), section
    assert "/health" in section_text("Health monitoring")


def test_every_command_that_operations_names_exists_with_its_options() -> None:
    code = re.findall(r"`(license-server [^`]+)`", OPERATIONS.replace("\n", " ").replace("```", ""))
    named = [line for line in code if re.match(r"license-server [a-z]", line)]

    for line in named:
        words = [word for word in shlex.split(line)[1:] if word != "..."]
        if len(words) == 1 and words[0] == "maintenance":
            continue  # a group, named as such
        known = {option for parameter in find_command(words).params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line
    assert len(named) > 40


def test_every_schedule_and_section_of_reports_that_the_guides_tasks_name_exists() -> None:
    tasks = rows("Maintenance tasks")

    mapped = [*tasks, *rows("Backup and recovery")]
    schedules = {name for _, rest in mapped for name in re.findall(r"`((?:weekly|monthly|daily)-\w+)`", rest)}
    assert schedules <= {name for name, _ in USUAL_SCHEDULES.values()}
    assert len(schedules) == 4
    for first, rest in tasks:
        period = next((one for one in Period if first.startswith(one)), None)
        named = {name for name in re.findall(r"`(\w+)`", rest.partition(" | ")[0]) if name in set(SectionName)}
        assert period is None or named <= set(sections_of(period)), first


def test_every_setting_that_the_guides_part_names_exists() -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?:=[^`]*)?`", OPERATIONS))

    assert named - setting_names() - CODES == NOT_OURS
    assert len(named) > 30
