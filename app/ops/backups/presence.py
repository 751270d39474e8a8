"""Presence: whether the files of backups are where the catalog says; what is only on record lets nothing go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from uuid import UUID

from app.db.models import Backup
from app.domain.backups import OWN_TOOL, USABLE, BackupUnavailable
from app.ops.backups.stores import open_stores
from app.settings import Settings


def find_unseen(settings: Settings, present: Sequence[Backup]) -> frozenset[UUID]:
    """Those of our own usable backups whose whole file, by its size, is in no store that answers. Blocks."""
    sizes: dict[str, Mapping[str, int]] = {}
    for name, store in open_stores(settings).items():
        with suppress(BackupUnavailable):
            sizes[str(name)] = store.list_sizes()
    own = [one for one in present if one.tool == OWN_TOOL and one.status in USABLE]
    return frozenset(one.id for one in own if not any(_is_whole(one, sizes.get(name, {})) for name in one.stores))


def _is_whole(backup: Backup, sizes: Mapping[str, int]) -> bool:
    size = sizes.get(backup.file_name or "")
    return size is not None and backup.bytes in (None, size)
