"""Commands about the configuration: an encrypted bundle of settings and keys, and how it becomes files again."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.cli.context import AsJson, command_settings, one_sentence, run_long
from app.cli.output import fail, print_json, say, show, show_table
from app.domain.backups import BackupUnavailable
from app.domain.configuration import Bundle, ConfigurationExists
from app.domain.permissions import COMMAND_LINE
from app.ops.backups import configuration, configuration_files
from app.ops.backups.configuration import Record
from app.ops.backups.configuration_files import Differences
from app.ops.backups.stores import open_stores
from app.runtime import Runtime, utc_now
from app.settings import SECRET_NAMES, Settings
from app.telemetry.values import printable

app = typer.Typer(no_args_is_help=True, help="The configuration: settings and keys, sealed for a recovery key.")

STDOUT = "-"
BundleFile = Annotated[Path, typer.Argument(metavar="FILE", help="A configuration bundle; - reads stdin.")]
RecoveryKeyFile = Annotated[
    Path | None,
    typer.Option("--recovery-key-file", metavar="FILE", help="Where the recovery key is; - reads stdin. Else asked."),
]


RECOVERY_KEY_SAYS = """\
The recovery key. It is shown only now, and kept nowhere here: print it or write it down, and keep it away from this
machine and from the backups. Whoever has it and a bundle has all settings and keys; without it nobody has."""


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle that was made: where it is, with the kind of each place, and the recovery key when it is a new one."""

    bundle: Bundle
    recipient: str
    recovery_key: str | None
    places: Mapping[str, str]
    is_off_disk: bool

    @property
    def kinds_of_places(self) -> list[str]:
        """The places without their names."""
        return list(self.places.values())


@app.command("backup")
def backup(
    to: Annotated[
        str | None, typer.Option(metavar="PATH", help="A file to make, or - for stdout; else beside the backups.")
    ] = None,
    new_recovery_key: Annotated[
        bool, typer.Option("--new-recovery-key", help="Make another recovery key, and seal for it from now on.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Without the database, for a recovery key that it will not know of.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Seal all settings and keys into a bundle, which a recovery key opens: the first time it is made, and printed."""
    if to == STDOUT and as_json:
        raise typer.BadParameter("--json and --to - both want stdout; take one of them.")

    async def work(runtime: Runtime) -> None:
        record = None if new_recovery_key else await configuration.find_record(runtime.database, runtime.vault)
        made = _make(runtime.settings, record, to)
        _tell_made(made, as_json=as_json)  # before it is on record: nothing is ever sealed for a key nobody has
        kept = configuration.record_of(made.recipient, made.bundle, runtime.vault, is_in_stores=to is None)
        await configuration.put_record(
            runtime.database, runtime.vault, kept, made.bundle, COMMAND_LINE, made.kinds_of_places
        )

    if not offline:
        run_long(work)
        return
    with one_sentence():
        _tell_made(_make(command_settings(), None, to), as_json=as_json)
    say("The database does not know of this recovery key: bundles made later are not sealed for it.")


@app.command("show")
def show_one(file: BundleFile, recovery_key_file: RecoveryKeyFile = None, as_json: AsJson = False) -> None:
    """Tell what is in a bundle: names and where they came from; secrets stay secret."""
    with one_sentence():
        bundle = _open(file, recovery_key_file)
    settings = [
        {
            "name": one.name,
            "value": "(secret)" if one.name in SECRET_NAMES else one.value,
            "source": one.source,
        }
        for one in bundle.settings
    ]
    card = {
        "createdAt": bundle.created_at,
        "appVersion": bundle.app_version,
        "keyFingerprints": list(bundle.key_fingerprints),
        "hasKeyFile": bundle.key_file is not None,
    }
    if as_json:
        print_json({**card, "settings": settings})
        return
    show(card, as_json=False)
    show_table("settings", settings)


@app.command("restore")
def restore(
    file: BundleFile,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Put .env and encryption.key there, and nothing elsewhere.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what differs; it is kept as .before-<time>.")] = False,
    recovery_key_file: RecoveryKeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Write .env into this folder and encryption.key into DATA_DIR, as they were; needs no database."""
    with one_sentence():
        bundle = _open(file, recovery_key_file)
        env_folder = Path() if to is None else to
        key_folder = _data_dir(bundle) if to is None else to
        there = configuration_files.compare(bundle, env_folder / ".env")
        if (env_folder / ".env").exists() and not as_json:
            _tell_differences(there)
        placed = configuration_files.place(bundle, env_folder, key_folder, force=force, now=utc_now())
    overridden = configuration_files.overridden(bundle, os.environ) if to is None else ()
    files = [{"path": str(one.path), "written": one.is_new, "kept": str(one.kept or "") or None} for one in placed]
    if as_json:
        differences = {"missing": list(there.missing), "changed": list(there.changed), "extra": list(there.extra)}
        print_json({"files": files, "differences": differences, "overridden": list(overridden)})
        return
    for one in placed:
        kept = f"; the one before is {one.kept}" if one.kept else ""
        say(printable(f"{one.path} " + ("is written" if one.is_new else "was the same already") + kept))
    if overridden:
        say(f"The environment sets otherwise, and goes before .env: {', '.join(overridden)}")


def _make(settings: Settings, record: Record | None, to: str | None) -> Made:
    """Make the bundle and put it where it is wanted."""
    recovery_key, recipient = (None, record.recipient) if record else configuration.make_recovery_key()
    bundle = configuration.gather(settings, now=utc_now())
    sealed = configuration.seal(bundle, recipient)
    if to is None:
        stores = configuration.put_bundle(list(open_stores(settings).values()), bundle.file_name, sealed)
        configuration.note_key_copy(settings, bundle, stores)
        places = {store.location(bundle.file_name): str(store.name) for store in stores}
        is_off_disk = any(configuration.is_off_disk(settings, store) for store in stores)
        return Made(bundle, recipient, recovery_key, places, is_off_disk)
    if to == STDOUT:
        sys.stdout.write(sealed)
        sys.stdout.flush()
        configuration.write_key_copy(settings, bundle, "where standard output went")
        return Made(bundle, recipient, recovery_key, {"standard output": "stdout"}, is_off_disk=True)
    path = Path(to).resolve()
    _write_new(path, sealed)
    is_off_disk = configuration.is_other_disk(settings, path.parent)
    if is_off_disk:
        configuration.write_key_copy(settings, bundle, str(path))
    return Made(bundle, recipient, recovery_key, {str(path): "file"}, is_off_disk)


def _write_new(path: Path, text: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigurationExists(f"{path} is there already; choose another name.") from error
    except OSError as error:
        raise BackupUnavailable(f"{path} can't be written: {error.strerror}.") from error


def _tell_made(made: Made, *, as_json: bool) -> None:
    """Where it is, and the recovery key when it is new: on stdout, or on stderr where the bundle went to stdout."""
    if as_json:
        card = {
            "createdAt": made.bundle.created_at,
            "places": list(made.places),
            "offDisk": made.is_off_disk,
            "keyFingerprints": list(made.bundle.key_fingerprints),
        }
        print_json({**card, "recoveryKey": made.recovery_key} if made.recovery_key else card)
        return
    is_on_stdout = "stdout" in made.kinds_of_places
    for place in made.places:
        say(printable(f"The configuration of {len(made.bundle.settings)} settings and its keys is in {place}"))
    if made.recovery_key:
        typer.echo(f"{RECOVERY_KEY_SAYS}\n\n    {made.recovery_key}\n", err=is_on_stdout)
    if not made.is_off_disk:
        say("That is the disk of DATA_DIR, and is lost with it: copy it elsewhere, or set BACKUP_S3_URL.")


def _open(file: Path, recovery_key_file: Path | None) -> Bundle:
    if str(file) == STDOUT and str(recovery_key_file) == STDOUT:
        raise typer.BadParameter("The bundle and the recovery key can't both come from stdin.")
    return configuration.unseal(_read(file), read_recovery_key(recovery_key_file))


def read_recovery_key(path: Path | None) -> str:
    """The recovery key out of a file or stdin, or from whoever sits at the terminal."""
    if path is not None:
        found = re.search(rb"AGE-SECRET-KEY-1\w+", _read(path), re.IGNORECASE)
        if found is None:
            fail(f"There is no recovery key in {path}: it begins with AGE-SECRET-KEY-1. (WRONG_RECOVERY_KEY)")
        return found[0].decode()
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    key: str = typer.prompt("Recovery key", hide_input=True, err=True)
    return key.strip()


def _read(path: Path) -> bytes:
    try:
        content = sys.stdin.buffer.read(configuration.LARGEST_BUNDLE + 1) if str(path) == STDOUT else path.read_bytes()
    except OSError as error:
        fail(f"{path} can't be read: {error.strerror}.")
    if len(content) > configuration.LARGEST_BUNDLE:
        fail(f"{path} is far too large for this.")
    return content


def _data_dir(bundle: Bundle) -> Path:
    """DATA_DIR as the environment has it, or else the bundle, whose folder names are those of this folder."""
    given = os.environ.get("DATA_DIR", "").strip() or bundle.values.get("DATA_DIR", "data")
    return Path(given)


def _tell_differences(found: Differences) -> None:
    for names, sentence in (
        (found.missing, "The present .env lacks"),
        (found.changed, "The present .env has another value of"),
        (found.extra, "The present .env also sets"),
    ):
        if names:
            say(f"{sentence} {', '.join(names)}.")
