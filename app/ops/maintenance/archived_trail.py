"""The archived part of the audit trail: the chain goes through the archives, so that none can be changed unseen."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from app.db.encrypted import find_chain_key
from app.db.engine import Database
from app.db.queries import archives, audit_chain
from app.domain.audit_chain import MAX_FINDINGS, Base, Head, Link, is_link
from app.domain.retention import Kind
from app.vault import Vault

_NAME = re.compile(r"audit_events-(\d{1,18})-[0-9a-f]+\.jsonl\.gz")


async def follow(database: Database, vault: Vault, folder: Path) -> list[str]:
    """A sentence for each place where the chain is broken, from its very first link to the base; at most a hundred.

    A file that can't be read is a gap here. Raises EncryptionKeyMissing.
    """
    async with database.transaction() as tx:
        key = await find_chain_key(tx, vault)
        base = await audit_chain.find_base(tx)
        names = await archives.list_file_names(tx, Kind.AUDIT_EVENTS)
    if key is None or base is None:
        return []
    ordered = sorted((int(match[1]), name) for name in names if (match := _NAME.fullmatch(name)))
    return await asyncio.to_thread(_follow, key, base, [folder / name for _, name in ordered])


def _follow(key: bytes, base: Base, paths: Sequence[Path]) -> list[str]:
    return list(islice(_break_points(key, base, paths), MAX_FINDINGS))


def _break_points(key: bytes, base: Base, paths: Sequence[Path]) -> Iterator[str]:
    head = Head()
    for path in paths:
        for link in _links(path):
            if link.position != head.position + 1:
                yield f"{path.name}: position {link.position} follows position {head.position}."
            elif not is_link(key, head.hash, link):
                yield f"{path.name}: position {link.position} is not what was sealed."
            head = Head(link.position, link.hash)
    if head != base.head:
        yield f"The archives of the audit trail end at {head}, and the chain begins behind {base.head}."


def _links(path: Path) -> Iterator[Link]:
    """The links in an archive, up to the first line that is none."""
    try:
        with gzip.open(path, "rt") as lines:
            for line in lines:
                yield _link(json.loads(line))
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError):
        """Whoever compares the files with their record tells it; here the next position tells the gap."""


def _link(document: Any) -> Link:
    sealed = document["sealed"]
    return Link(int(document["position"]), UUID(document["event"]["id"]), bytes.fromhex(document["hash"]), str(sealed))
