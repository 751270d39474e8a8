"""A configuration bundle as files again: `.env` and `encryption.key`, which never replace others by themselves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.domain.backups import BackupUnavailable
from app.domain.configuration import Bundle, ConfigurationExists, GivenSetting
from app.settings import SECRET_NAMES, SETTING_NAMES, SettingsError, inspect_settings

KEY_FILE = "encryption.key"
_INTERPOLATED = "${"
"""What a `.env` replaces, in quotes too; such a value goes into a file of its own."""


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of a file: `kept` is where the one before is now."""

    path: Path
    is_new: bool
    kept: Path | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """The settings that `.env` lacks, has otherwise, or has beyond the bundle, by their names."""

    missing: tuple[str, ...]
    changed: tuple[str, ...]
    extra: tuple[str, ...]


def place(bundle: Bundle, env_folder: Path, key_folder: Path, *, force: bool, now: datetime) -> list[Placed]:
    """Write the bundle's files, readable by their owner alone; raises ConfigurationExists, with nothing written.

    With `force` the files before are kept as `.before-<time>`. A file that is the same already is left alone.
    """
    wanted = _files_of(bundle, env_folder, key_folder)
    others = [path for path, text in wanted.items() if path.exists() and not _is_same(path, text)]
    if others and not force:
        raise ConfigurationExists(
            f"{', '.join(map(str, others))} is there and differs: with --force it is kept beside the new one."
            + (
                " Another encryption key makes what it has encrypted unreadable."
                if key_folder / KEY_FILE in others
                else ""
            )
        )
    try:
        return [_put(path, text, now) for path, text in wanted.items()]
    except OSError as error:
        raise BackupUnavailable(f"{error.filename} can't be written: {error.strerror}.") from error


def compare(bundle: Bundle, env_file: Path) -> Differences:
    """How the settings in a `.env` differ from the bundle's; its own names alone are told."""
    found = {one.name: one.value for one in inspect_settings({}, env_file).settings.given}
    wanted = bundle.values
    return Differences(
        missing=tuple(sorted(wanted.keys() - found.keys())),
        changed=tuple(sorted(name for name in wanted.keys() & found.keys() if wanted[name] != found[name])),
        extra=tuple(sorted(found.keys() - wanted.keys())),
    )


def overridden(bundle: Bundle, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The settings that the environment, which goes before `.env`, gives another value."""
    wanted, given = bundle.values, inspect_settings(environ, None).settings.given
    return tuple(sorted(one.name for one in given if one.name in wanted and wanted[one.name] != one.value))


def env_text(bundle: Bundle, folder: Path) -> str:
    """The `.env` of the bundle; raises SettingsError for a value that none can hold."""
    when = f"{bundle.created_at:%Y-%m-%d %H:%MZ}"
    lines = [f"# The configuration of {when}, release {bundle.app_version}, restored from its bundle."]
    for one in bundle.settings:
        lines += _lines_of(one, folder)
    return "\n".join(lines) + "\n"


def _files_of(bundle: Bundle, env_folder: Path, key_folder: Path) -> dict[Path, str]:
    files = {
        _secret_path(env_folder, one.name): one.value + "\n"
        for one in bundle.settings
        if _INTERPOLATED in one.value and one.name in SECRET_NAMES
    }
    if bundle.key_file is not None:
        files[key_folder / KEY_FILE] = bundle.key_file.strip() + "\n"
    files[env_folder / ".env"] = env_text(bundle, env_folder)
    return files


def _lines_of(setting: GivenSetting, folder: Path) -> list[str]:
    lines = [] if setting.source == ".env" else [f"# was in: {' '.join(setting.source.split())}"]
    if setting.name not in SETTING_NAMES:
        return [*lines, f"# {setting.name} is no setting of this release, and was left out."]
    if "\r" in setting.value:
        raise SettingsError(f"{setting.name} holds a carriage return, which no file keeps; set it in the environment.")
    if _INTERPOLATED not in setting.value:
        return [*lines, f"{setting.name}={_quoted(setting.value)}"]
    if setting.name not in SECRET_NAMES:
        raise SettingsError(f"{setting.name} holds {_INTERPOLATED}, which no .env can hold; set it in the environment.")
    path = str(_secret_path(folder, setting.name).resolve())
    if _INTERPOLATED in path:
        raise SettingsError(f"{path} can't be named in a .env; choose a folder without {_INTERPOLATED} in its name.")
    return [*lines, f"{setting.name}_FILE={_quoted(path)}"]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _secret_path(folder: Path, name: str) -> Path:
    return folder / f"{name.lower()}.secret"


def _is_same(path: Path, text: str) -> bool:
    try:
        there = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return there.splitlines()[1:] == text.splitlines()[1:] if path.name == ".env" else there.strip() == text.strip()


def _put(path: Path, text: str, now: datetime) -> Placed:
    _make_folder(path.parent)
    kept = None
    if path.exists():
        if _is_same(path, text):
            return Placed(path, is_new=False)
        kept = path.with_name(f"{path.name}.before-{now:%Y%m%dT%H%M%SZ}")
        os.link(path, kept)
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    give_to_owner(draft)
    draft.replace(path)
    return Placed(path, is_new=True, kept=kept)


def _make_folder(folder: Path) -> None:
    """Make a folder that only its owner may use, and those above it that are missing."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700)
        give_to_owner(one.resolve())


def give_to_owner(path: Path) -> None:
    """What root makes belongs to whom the folder around it belongs, so that the server can use it."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
