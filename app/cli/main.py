"""The command line: `license-server ...`."""

from __future__ import annotations

import typer

from app import __version__
from app.cli import (
    api_keys,
    audit_events,
    backup,
    backups,
    certificates,
    configuration,
    database,
    diagnostics,
    doctor,
    drill,
    encryption,
    error_groups,
    healthcheck,
    legal_holds,
    licenses,
    maintenance,
    organizations,
    products,
    reports,
    rescan,
    restore,
    retention,
    runs,
    schedules,
    second_factors,
    security,
    serve,
    users,
    verify,
)
from app.cli.context import AsJson
from app.cli.output import print_json
from app.vault import make_key

app = typer.Typer(
    name="license-server", no_args_is_help=True, add_completion=False, help="The iTechSmart License Server."
)
app.command("serve")(serve.serve)
app.command("migrate")(database.migrate)
app.command("certificates")(certificates.certificates)
app.command("doctor")(doctor.doctor)
app.command("drill")(drill.drill)
app.command("healthcheck")(healthcheck.healthcheck)
app.command("reset-password")(database.reset_password)
app.command("reencrypt")(encryption.reencrypt)
app.command("reset-second-factor")(second_factors.reset_second_factor)
app.command("errors")(error_groups.show_errors)
app.command("backup")(backup.backup)
app.command("report")(reports.report)
app.add_typer(organizations.app, name="organizations")
app.add_typer(products.app, name="products")
app.add_typer(products.plans_app, name="plans")
app.add_typer(licenses.app, name="licenses")
app.add_typer(api_keys.app, name="api-keys")
app.add_typer(security.app, name="security")
app.add_typer(diagnostics.app, name="database")
app.add_typer(audit_events.app, name="audit")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(runs.app, name="runs")
backups.app.command("rescan")(rescan.rescan_backups)
backups.app.command("download")(rescan.download)
app.add_typer(backups.app, name="backups")
app.add_typer(configuration.app, name="configuration")
app.add_typer(restore.app, name="restore")
backups.app.command("verify")(verify.verify)
app.add_typer(retention.app, name="retention")
app.add_typer(legal_holds.app, name="legal-holds")
app.add_typer(schedules.app, name="schedules")
app.add_typer(users.app, name="users")
app.add_typer(users.invitations_app, name="invitations")


@app.command("generate-key")
def generate_key(as_json: AsJson = False) -> None:
    """Print a new key for ENCRYPTION_KEY."""
    key = make_key()
    print_json({"key": key}) if as_json else typer.echo(key)


@app.command("version")
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    print_json({"version": __version__}) if as_json else typer.echo(__version__)
