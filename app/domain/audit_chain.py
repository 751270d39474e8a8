"""The chain that seals the audit trail: each link is a keyed hash over its event and the link before it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from app.domain.errors import Unavailable

HASH_BYTES = 32
KEY_BYTES = 32
MAX_FINDINGS = 100
"""So many are told one by one; of more only the number is."""


class AuditKeyMissing(Unavailable):
    """The key that seals the audit trail is gone from the database; restore it from a backup."""

    code = "AUDIT_KEY_MISSING"


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain; `POSITION:HASH` in words. An empty chain ends at position 0 with a hash of zeros."""

    position: int = 0
    hash: bytes = bytes(HASH_BYTES)

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


@dataclass(frozen=True, slots=True)
class Base:
    """Where the chain begins since all up to this position was archived, into a last file with this SHA-256.

    The seal tells that whoever made it had the chain's key.
    """

    position: int
    hash: bytes
    archive_sha256: str
    seal: bytes

    @property
    def head(self) -> Head:
        """What the next link is linked to."""
        return Head(self.position, self.hash)


@dataclass(frozen=True, slots=True)
class Link:
    """A link as it is stored; `canonical` is the event it seals, None when that is gone."""

    position: int
    event_id: UUID
    hash: bytes
    canonical: str | None


@dataclass(frozen=True, slots=True)
class UnsealedEvent:
    """An event that waits for its link; it may have one already, and `canonical` is None when the event is gone."""

    event_id: UUID
    is_linked: bool
    canonical: str | None


@dataclass(frozen=True, slots=True)
class EventState:
    """How far an event has come on its way into the chain."""

    event_id: UUID
    is_linked: bool
    is_waiting: bool
    is_old: bool


class FindingKind(StrEnum):
    """What can be wrong with the trail."""

    CHANGED = "changed"
    MISSING = "missing"
    GAP = "gap"
    PUT_IN = "put_in"
    FORGED_BASE = "forged_base"
    CUT_OFF = "cut_off"
    REWRITTEN = "rewritten"
    NEVER_SEALED = "never_sealed"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong, in a sentence; at a position of the chain, about an event, where there is one."""

    kind: FindingKind
    sentence: str
    position: int | None = None
    event_id: UUID | None = None


@dataclass(slots=True)
class Verification:
    """What is known of the chain so far, while its links are looked at in order; `remark` is no fault of the trail."""

    key: bytes
    expected: Head | None = None
    head: Head = field(default_factory=Head)
    base: Base | None = None
    findings: list[Finding] = field(default_factory=list)
    finding_count: int = 0
    remark: str | None = None

    @property
    def is_intact(self) -> bool:
        """Whether nothing wrong was found."""
        return self.finding_count == 0

    def begin(self, base: Base | None) -> None:
        """Start at the base, or at the very first link; what was found before is forgotten."""
        self.base, self.head, self.remark = base, Head() if base is None else base.head, None
        self.findings, self.finding_count = [], 0
        if base is None:
            return
        if not is_base(self.key, base):
            sentence = f"Position {base.position}: the base of the chain was not made with its key."
            self.add(Finding(FindingKind.FORGED_BASE, sentence, base.position))
        expected = self.expected
        if expected is not None and expected.position < base.position:
            self.remark = (
                f"Position {expected.position} is archived, with all up to {base.position}; compare its hash in the"
                " archive that holds it, and keep the head that is printed now."
            )
        if expected is not None and expected.position == base.position and expected.hash != base.hash:
            sentence = f"Position {base.position} has another hash than it had before: the chain was written anew."
            self.add(Finding(FindingKind.REWRITTEN, sentence, base.position))

    def look_at(self, link: Link) -> None:
        """Judge the next link; behind a wrong one it goes on from what is stored, so that each wrong is told once."""
        if self.base is not None and link.position <= self.base.position:
            sentence = f"Position {link.position} was archived, and a link was put in there again."
            self.add(Finding(FindingKind.PUT_IN, sentence, link.position, link.event_id))
            return
        for finding in self._wrongs(link):
            self.add(finding)
        self.head = Head(link.position, link.hash)

    def look_at_event(self, event: EventState) -> None:
        """Judge whether an event is in the chain, or has a reason not to be yet."""
        if event.is_linked or (event.is_waiting and not event.is_old):
            return
        if event.is_waiting:
            sentence = f"Event {event.event_id} waits for its link for more than a minute."
            self.add(Finding(FindingKind.WAITING, sentence, event_id=event.event_id))
        else:
            sentence = f"Event {event.event_id} was never sealed: its link was removed, or it was put in unseen."
            self.add(Finding(FindingKind.NEVER_SEALED, sentence, event_id=event.event_id))

    def end(self) -> None:
        """Judge whether the chain is as long as it was known to be."""
        if self.expected is not None and self.expected.position > self.head.position:
            sentence = f"The chain ends at position {self.head.position}; it went to {self.expected.position} before."
            self.add(Finding(FindingKind.CUT_OFF, sentence, self.head.position))

    def add(self, finding: Finding) -> None:
        """Keep a finding."""
        self.finding_count += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)

    def _wrongs(self, link: Link) -> Iterator[Finding]:
        position, event_id = link.position, link.event_id
        expected = self.expected
        if expected is not None and expected.position == position and expected.hash != link.hash:
            sentence = f"Position {position} has another hash than it had before: the chain was written anew."
            yield Finding(FindingKind.REWRITTEN, sentence, position, event_id)
        if position != self.head.position + 1:
            sentence = f"The links from position {self.head.position + 1} to {position - 1} are gone."
            yield Finding(FindingKind.GAP, sentence, position, event_id)
        elif link.canonical is not None and not is_link(self.key, self.head.hash, link):
            sentence = f"Position {position}: event {event_id}, its link or the link before was changed."
            yield Finding(FindingKind.CHANGED, sentence, position, event_id)
        if link.canonical is None:
            yield Finding(FindingKind.MISSING, f"Position {position}: event {event_id} is gone.", position, event_id)


def make_links(key: bytes, head: Head, events: Iterable[UnsealedEvent]) -> list[Link]:
    """The links that come next, for the events that have none."""
    links = []
    for event in events:
        if not event.is_linked:
            position = head.position + 1
            head = Head(position, link_hash(key, head.hash, event.canonical))
            links.append(Link(position, event.event_id, head.hash, event.canonical))
    return links


def link_hash(key: bytes, previous: bytes, canonical: str | None) -> bytes:
    """HMAC-SHA256 over the hash before and the canonical text of an event; of nothing where the event is gone."""
    return hmac.new(key, previous + (canonical or "").encode(), hashlib.sha256).digest()


def is_link(key: bytes, previous: bytes, link: Link) -> bool:
    """Whether the link's hash is the one of its event and the link before."""
    return hmac.compare_digest(link_hash(key, previous, link.canonical), link.hash)


def make_base(key: bytes, head: Head, archive_sha256: str) -> Base:
    """The base that says that all up to here was archived."""
    return Base(head.position, head.hash, archive_sha256, _base_seal(key, head, archive_sha256))


def is_base(key: bytes, base: Base) -> bool:
    """Whether the base was made with this key, as it is."""
    return hmac.compare_digest(_base_seal(key, base.head, base.archive_sha256), base.seal)


def _base_seal(key: bytes, head: Head, archive_sha256: str) -> bytes:
    """Under a key of its own: a link's hash, whose first half others may choose, is never the seal of a base."""
    base_key = hmac.new(key, b"audit base", hashlib.sha256).digest()
    return hmac.new(base_key, f"{head}:{archive_sha256}".encode(), hashlib.sha256).digest()


def parse_head(text: str) -> Head:
    """The head that `POSITION:HASH` names; ValueError for anything else."""
    match = re.fullmatch(r"(\d{1,18}):([0-9a-fA-F]{64})", text.strip())
    if match is None:
        raise ValueError("must be POSITION:HASH, as `audit verify` and the log print it")
    return Head(int(match[1]), bytes.fromhex(match[2]))
