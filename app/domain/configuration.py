"""The configuration bundle: every setting and key of an installation in one document, for the day it is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.domain.backups import PRODUCT
from app.domain.errors import Conflict, Invalid

FORMAT = 1
"""Of bundles; a higher one is of a newer release, which this one can't read."""
PREFIX = "configuration-"
SUFFIX = ".age"


class ConfigurationRefused(Invalid):
    """This is no configuration bundle of a license server, or one of a newer release, which that release reads."""

    code = "CONFIGURATION_REFUSED"


class ConfigurationDamaged(Invalid):
    """The configuration bundle was cut off or changed; take another copy of it."""

    code = "CONFIGURATION_DAMAGED"


class WrongRecoveryKey(Invalid):
    """The recovery key does not open this configuration bundle; take the one printed when such bundles began."""

    code = "WRONG_RECOVERY_KEY"


class ConfigurationExists(Conflict):
    """There is another configuration already; with --force it is kept beside the new one."""

    code = "CONFIGURATION_EXISTS"


@dataclass(frozen=True, slots=True)
class GivenSetting:
    """A setting as it was written, and where that was."""

    name: str
    value: str = field(repr=False)
    source: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a new machine needs beside a backup.

    `key_file` is what was in DATA_DIR/encryption.key; None where the keys come from the setting. `key_fingerprints`
    tell which keys these are, and give none of them away.
    """

    created_at: datetime
    app_version: str
    settings: tuple[GivenSetting, ...]
    key_file: str | None = field(repr=False)
    key_fingerprints: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """The name that sorts by time."""
        return f"{PREFIX}{self.created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}"

    @property
    def values(self) -> Mapping[str, str]:
        """The settings' values by their names."""
        return {one.name: one.value for one in self.settings}

    def content(self) -> str:
        """All that matters of it, in one way of writing it: equal for bundles that differ in their time alone."""
        document = self.as_document()
        del document["createdAt"]
        return json.dumps(document, sort_keys=True, separators=(",", ":"))

    def as_document(self) -> dict[str, Any]:
        """As it is sealed, with the names that answers use."""
        return {
            "format": FORMAT,
            "product": PRODUCT,
            "createdAt": self.created_at.astimezone(UTC).isoformat(),
            "appVersion": self.app_version,
            "settings": [{"name": one.name, "value": one.value, "source": one.source} for one in self.settings],
            "keyFile": self.key_file,
            "keyFingerprints": list(self.key_fingerprints),
        }


def read_bundle(document: Any) -> Bundle:
    """The bundle that `as_document` wrote; raises ConfigurationRefused for what is none of this release."""
    try:
        if document["product"] != PRODUCT:
            raise ConfigurationRefused(f"This is no configuration of {PRODUCT}, but of {document['product']}.")
        if document["format"] > FORMAT:
            raise ConfigurationRefused(
                f"The bundle was made by the newer release {document['appVersion']}, whose bundles this one can't read."
            )
        return Bundle(
            created_at=datetime.fromisoformat(document["createdAt"]),
            app_version=str(document["appVersion"]),
            settings=tuple(GivenSetting(one["name"], one["value"], one["source"]) for one in document["settings"]),
            key_file=document["keyFile"],
            key_fingerprints=tuple(document["keyFingerprints"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationRefused(
            f"The bundle holds no configuration that can be read ({type(error).__name__})."
        ) from error


def is_bundle_name(name: str) -> bool:
    """Whether a file in a store is a configuration bundle."""
    return name.startswith(PREFIX) and name.endswith(SUFFIX)


def newest_bundle_name(names: Sequence[str]) -> str | None:
    """The newest bundle among the files of a store; None without any."""
    return max(filter(is_bundle_name, names), default=None)


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """That a copy of the encryption keys is known to be off this machine's disk: which keys, since when, and where."""

    key_fingerprints: tuple[str, ...]
    at: datetime
    where: str

    def as_text(self) -> str:
        """The note as it is kept beside the key."""
        return (
            json.dumps({"keyFingerprints": list(self.key_fingerprints), "at": self.at.isoformat(), "where": self.where})
            + "\n"
        )


KEY_COPY_FILE = "encryption.key.copy"
"""Beside `encryption.key`: where a copy of it is. Of other keys, or unreadable, it tells nothing."""


def read_key_copy(text: str) -> KeyCopy | None:
    """The note that `as_text` wrote; None for anything else."""
    try:
        document = json.loads(text)
        at = datetime.fromisoformat(document["at"])
        return KeyCopy(tuple(document["keyFingerprints"]), at, str(document["where"]))
    except (KeyError, TypeError, ValueError):
        return None
