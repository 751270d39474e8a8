"""The installation: its settings, its folders and files, and what the machine gives it."""

from __future__ import annotations

import json
import os
import resource
import shutil
from http import HTTPStatus
from pathlib import Path

import httpx

from app.domain.configuration import KEY_COPY_FILE, read_key_copy
from app.domain.findings import Finding, Level
from app.domain.words import ByteCount
from app.settings import ENV_FILE, Inspection, Settings
from app.vault import Vault, keys_from_text

DISK_WARNING = 0.15
DISK_BAD = 0.05
FEWEST_FILES = 4096
PORT_SECONDS = 2.0
_ALL_ADDRESSES = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104


def check_settings(inspected: Inspection) -> list[Finding]:
    """Whether the server would start with these settings, and which of them do nothing."""
    action = "Mend it in .env or the environment; docs/settings.md tells how each is written."
    findings = [Finding("settings", Level.BAD, problem, action) for problem in inspected.problems]
    if not findings:
        findings.append(Finding("settings", Level.GOOD, "All settings can be used."))
    ignored = inspected.settings.ignored_names()
    if ignored:
        sentence = f"These settings have no effect in this release yet: {', '.join(ignored)}."
        findings.append(Finding("settings", Level.WARNING, sentence, f"Do not rely on {', '.join(ignored)}."))
    findings += _check_public_url(inspected.settings)
    return findings


def check_files(settings: Settings) -> list[Finding]:
    """Folders, files with secrets, room on the disks, and how many files may be open."""
    findings = [
        _check_folder("data_dir", "DATA_DIR", settings.data_dir),
        _check_folder("backup_dir", "BACKUP_DIR", settings.backup_dir),
    ]
    findings += check_disks(settings)
    findings += _check_env_file(ENV_FILE)
    findings += _check_key_file(settings)
    findings.append(_check_open_files())
    return findings


def check_disks(settings: Settings) -> list[Finding]:
    """Room on each disk that the server writes to."""
    folders = [_nearest(one.resolve()) for one in (settings.data_dir, settings.archive_dir, settings.backup_dir)]
    by_disk = {folder.stat().st_dev: folder for folder in reversed(folders)}
    return [_check_disk(folder) for folder in by_disk.values()]


def free_bytes(folder: Path) -> ByteCount:
    """The room on the disk of a folder, or of the nearest one above that exists."""
    return ByteCount(shutil.disk_usage(_nearest(folder.resolve())).free)


def shares_disk(one: Path, other: Path) -> bool:
    """Whether two folders, there or not yet, lie on the same disk."""
    return _nearest(one.resolve()).stat().st_dev == _nearest(other.resolve()).stat().st_dev


async def check_port(settings: Settings) -> list[Finding]:
    """Whether the server runs here, or its port is free for it."""
    if settings.port == 0:
        return []
    host = _ALL_ADDRESSES.get(settings.host, settings.host)
    address = f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=PORT_SECONDS) as client:
            answer = await client.get(f"{address}/livez")
    except httpx.ConnectError:
        sentence = f"The server does not run here; its port {settings.port} is free."
        return [Finding("port", Level.GOOD, sentence)]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return [_taken(settings.port, f"it answers no request ({type(error).__name__})")]
    if answer.status_code == HTTPStatus.OK and _is_ours(answer.content):
        return [Finding("port", Level.GOOD, f"The server runs at {address}.")]
    return [_taken(settings.port, f"it answers {answer.status_code} to /livez")]


def _is_ours(body: bytes) -> bool:
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("status") == "alive"


def _taken(port: int, what: str) -> Finding:
    sentence = f"Something else listens on port {port}, or the server hangs: {what}."
    return Finding("port", Level.BAD, sentence, f"ss -ltnp 'sport = :{port}'")


def _check_public_url(settings: Settings) -> list[Finding]:
    if settings.public_url is None or settings.public_url.startswith("https://"):
        return []
    sentence = "PUBLIC_URL is not https: passwords, tokens and license keys travel in clear."
    return [Finding("public_url", Level.WARNING, sentence, "Put TLS in front and set PUBLIC_URL=https://...")]


def _check_folder(check: str, name: str, folder: Path) -> Finding:
    folder = folder.resolve()
    if not folder.exists():
        parent = _nearest(folder)
        if os.access(parent, os.W_OK | os.X_OK):
            return Finding(check, Level.GOOD, f"{name} {folder} is made when it is needed.")
        sentence = f"{name} {folder} does not exist and can't be made by this user."
        return Finding(check, Level.BAD, sentence, f"install -d -m 700 -o USER {folder}  # the server's user")
    if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        sentence = f"{name} {folder} is not a folder that this user may write to."
        return Finding(check, Level.BAD, sentence, f"chown USER {folder}; chmod 700 {folder}  # the server's user")
    owner = folder.stat().st_uid
    if owner not in (os.geteuid(), 0) and os.geteuid() != 0:
        sentence = f"{name} {folder} belongs to user id {owner}, and this is {os.geteuid()}."
        return Finding(check, Level.WARNING, sentence, "Run commands as the user that the server runs as.")
    return Finding(check, Level.GOOD, f"{name} {folder} can be written to.")


def _check_disk(folder: Path) -> Finding:
    usage, inodes = shutil.disk_usage(folder), os.statvfs(folder)
    free = usage.free / usage.total if usage.total else 1.0
    free_files = inodes.f_favail / inodes.f_files if inodes.f_files else 1.0  # some file systems have no such number
    sentence = f"{free:.0%} ({ByteCount(usage.free)}) and {free_files:.0%} of the files are free at {folder}."
    level = judge_room(min(free, free_files))
    return Finding("disk", level, sentence, None if level is Level.GOOD else f"du -xh --max-depth=2 {folder} | sort -h")


def judge_room(free: float) -> Level:
    """Whether this share of a disk is enough; PostgreSQL stops where there is none."""
    if free < DISK_BAD:
        return Level.BAD
    return Level.WARNING if free < DISK_WARNING else Level.GOOD


def _nearest(folder: Path) -> Path:
    """The folder, or the one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())


def _check_env_file(path: Path) -> list[Finding]:
    if not path.is_file() or not path.stat().st_mode & 0o007:
        return []
    sentence = f"{path} can be read or changed by everybody on this machine, and holds secrets."
    return [Finding("env_file", Level.WARNING, sentence, f"chmod 600 {path}")]


def _check_key_file(settings: Settings) -> list[Finding]:
    path = settings.data_dir.resolve() / "encryption.key"
    if settings.encryption_key is not None or not path.is_file():
        return []
    findings = []
    if path.stat().st_mode & 0o077:
        sentence = f"The encryption key {path} can be read or changed by others than its owner."
        findings.append(Finding("encryption_key_file", Level.BAD, sentence, f"chmod 600 {path}"))
    return [*findings, *check_key_copy(settings)]


def check_key_copy(settings: Settings) -> list[Finding]:
    """Whether a copy of the key that DATA_DIR holds is known to be elsewhere; nothing where the key is a setting."""
    path = settings.data_dir.resolve() / "encryption.key"
    if settings.encryption_key is not None or not path.is_file():
        return []
    try:
        present = Vault(keys_from_text(path.read_text())).fingerprints()
        copy = read_key_copy(path.with_name(KEY_COPY_FILE).read_text())
    except (OSError, ValueError, IndexError):  # then nobody knows of a copy
        present, copy = (), None
    if copy is not None and set(present) <= set(copy.key_fingerprints):
        sentence = f"A copy of the encryption key was put into {copy.where} on {copy.at:%Y-%m-%d %H:%MZ}."
        return [Finding("encryption_key_copy", Level.GOOD, sentence)]
    sentence = f"The encryption key is in {path} alone: whoever loses it loses all license keys and second factors."
    action = "license-server configuration backup --to -  # copy it to another machine, and print the recovery key"
    return [Finding("encryption_key_copy", Level.WARNING, sentence, action)]


def _check_open_files() -> Finding:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY or allowed >= FEWEST_FILES:
        return Finding("open_files", Level.GOOD, "Enough files and connections may be open.")
    sentence = f"This user may have {allowed} files and connections open; {FEWEST_FILES} are little for a server."
    return Finding("open_files", Level.WARNING, sentence, "ulimit -n 65536  # LimitNOFILE=65536 for systemd")
