"""Old audit events: the oldest part of the sealed chain is archived, and the chain begins behind it from then on."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.db.brief import briefly
from app.db.encrypted import find_chain_key
from app.db.queries import archives as records
from app.db.queries import audit_chain, legal_holds
from app.db.queries.audit_chain import Archivable
from app.db.workbench import Workbench
from app.domain.archives import ArchiveFile
from app.domain.audit_chain import Head, is_base, is_link, make_base
from app.domain.errors import EncryptionKeyMissing
from app.domain.retention import Held, Holding, Kept, Kind, Pruned, Rule
from app.ops.maintenance import archives
from app.ops.maintenance.validation_events import TellPart

READ_AT_ONCE = 1_000
REMOVE_ATTEMPTS = 10

Sink = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class Piece:
    """A part of the chain that may go, up to its head; `reason` says why what follows stays, when it is old as well."""

    head: Head
    rows: int = 0
    bytes: int = 0
    since: datetime | None = None
    until: datetime | None = None
    is_last: bool = False
    reason: Kept | None = None

    def add(self, one: Archivable) -> None:
        """One more event may go."""
        self.head = Head(one.link.position, one.link.hash)
        self.rows += 1
        self.bytes += len(one.link.canonical or "")
        self.since = self.since or one.occurred_at
        self.until = one.occurred_at


async def prune_audit_events(
    bench: Workbench, rule: Rule, *, is_dry: bool, tell: TellPart, piece_rows: int = 20_000
) -> Pruned:
    """Archive and remove the oldest sealed events, up to the first that is young, held or not what was sealed."""
    pruned = Pruned(rule)
    cutoff = rule.cutoff(bench.now())
    if cutoff is None:
        return pruned
    try:
        key, head = await _find_beginning(bench)
        while key is not None:
            tell(0.0, f"position {head.position + 1}")
            piece = await _prune_piece(bench, pruned, key, head, cutoff, is_dry=is_dry, limit=piece_rows)
            if piece.reason is not None:
                raise piece.reason
            if piece.is_last:
                break
            head = piece.head
    except Held as error:
        pruned.skip(str(error), is_wished=True)
    except Kept as error:
        pruned.skip(str(error))
    except EncryptionKeyMissing as error:
        pruned.skip(error.message)
    return pruned


async def _find_beginning(bench: Workbench) -> tuple[bytes | None, Head]:
    """The key of the chain, None when nothing is sealed yet, and what its first link is linked to."""
    async with bench.database.transaction() as tx:
        key = await find_chain_key(tx, bench.vault)
        base = await audit_chain.find_base(tx)
    if key is not None and base is not None and not is_base(key, base):
        raise Kept(f"the base of the chain at position {base.position} is forged: see `license-server audit verify`")
    return key, Head() if base is None else base.head


async def _prune_piece(
    bench: Workbench, pruned: Pruned, key: bytes, head: Head, cutoff: datetime, *, is_dry: bool, limit: int
) -> Piece:
    holding = await legal_holds.read_holding(bench.direct)
    if holding.is_whole:
        raise Held("a legal hold keeps everything of the whole installation")
    if is_dry:
        piece = await _read_piece(bench, Piece(head), key, cutoff, holding, _forget, limit)
    else:
        name = f"audit_events-{head.position + 1}"
        async with archives.new_archive(bench.settings.archive_dir, name, now=bench.now()) as writer:
            piece = await _read_piece(bench, Piece(head), key, cutoff, holding, writer.add, limit)
            if piece.rows == 0:
                return piece
            subject = f"positions {head.position + 1} to {piece.head.position}"
            archive = await writer.finish(Kind.AUDIT_EVENTS, subject, since=piece.since, until=piece.until)
        try:
            await briefly(bench.direct, lambda: _remove(bench, key, piece, archive, holding), attempts=REMOVE_ATTEMPTS)
        except Kept:
            archives.discard(bench.settings.archive_dir, archive)
            raise
        pruned.archives.append(archive.file_name)
    pruned.rows += piece.rows
    pruned.bytes += piece.bytes
    return piece


async def _read_piece(
    bench: Workbench, piece: Piece, key: bytes, cutoff: datetime, holding: Holding, sink: Sink, limit: int
) -> Piece:
    """Read on while events may go, and give each to the sink; nothing that was tampered with is ever taken away."""
    while piece.rows < limit:
        async with bench.database.transaction() as tx:
            found = await audit_chain.list_archivable(
                tx,
                after=piece.head.position,
                organization_ids=holding.organization_ids,
                limit=min(READ_AT_ONCE, limit - piece.rows),
            )
        for one in found:
            if one.occurred_at is not None and one.occurred_at >= cutoff:
                piece.is_last = True
                piece.reason = _why_too_early(one.link.position, one.occurred_at, bench.now())
                return piece
            piece.reason = _why_kept(one, piece.head, key)
            if piece.reason is not None:
                return piece
            await sink(_line_of(one))
            piece.add(one)
        if not found:
            piece.is_last = True
            return piece
    return piece


def _why_too_early(position: int, occurred_at: datetime, now: datetime) -> Kept | None:
    """A clock that was wrong must not keep the trail for years without a word."""
    if occurred_at <= now:
        return None
    moment = f"{occurred_at.astimezone(UTC):%Y-%m-%d %H:%MZ}"
    return Kept(f"the event at position {position} is of {moment}, which is to come; all from there on stays")


def _why_kept(one: Archivable, head: Head, key: bytes) -> Kept | None:
    position = one.link.position
    is_intact = position == head.position + 1 and one.link.canonical is not None and is_link(key, head.hash, one.link)
    if not is_intact:
        return Kept(f"the trail is not intact at position {position}: see `license-server audit verify`")
    if one.is_held:
        return Held(f"a legal hold on an organization keeps all from position {position} on")
    return None


def _line_of(one: Archivable) -> bytes:
    """The link, the text that it seals, and the event for whoever reads it."""
    link = {
        "position": one.link.position,
        "hash": one.link.hash.hex(),
        "sealedAt": one.sealed_at.isoformat(),
        "sealed": one.link.canonical,
    }
    return f'{json.dumps(link)[:-1]}, "event": {one.document}}}\n'.encode()


async def _remove(bench: Workbench, key: bytes, piece: Piece, archive: ArchiveFile, holding: Holding) -> None:
    """Remove what was archived unless it is held, or is not the same, by now; with the base, in one transaction."""
    direct = bench.direct
    await legal_holds.keep_holds_still(direct)
    now_held = await legal_holds.read_holding(direct)
    if now_held.is_whole or set(now_held.organization_ids) - set(holding.organization_ids):
        raise Held("a legal hold was placed meanwhile; the next run looks again")
    await records.record_archive(direct, archive)
    removed = await audit_chain.remove_prefix(direct, make_base(key, piece.head, archive.sha256), archive)
    if removed != (piece.rows, piece.rows):
        raise Kept(f"{removed} events and links were there instead of {piece.rows}: see `license-server audit verify`")


async def _forget(line: bytes) -> None:
    """A dry run writes nothing."""
