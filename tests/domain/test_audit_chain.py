"""The chain over the audit trail, judged without a database."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.domain.audit_chain import (
    MAX_FINDINGS,
    EventState,
    Head,
    Link,
    UnsealedEvent,
    Verification,
    link_hash,
    make_links,
    parse_head,
)

KEY = b"k" * 32
EVENTS = [UnsealedEvent(UUID(int=number), False, f'[1, "event {number}"]') for number in range(1, 6)]


def verified(links: list[Link], expected: Head | None = None) -> list[tuple[str, int | None]]:
    verification = Verification(KEY, expected)
    for link in links:
        verification.look_at(link)
    verification.end()
    return [(finding.kind, finding.position) for finding in verification.findings]


def chain() -> list[Link]:
    return make_links(KEY, Head(), EVENTS)


def test_a_chain_that_nobody_touched_is_intact() -> None:
    links = chain()

    assert [link.position for link in links] == [1, 2, 3, 4, 5]
    assert verified(links) == []
    assert verified([]) == []


def test_a_link_is_the_hash_of_the_key_the_link_before_and_the_event() -> None:
    [first] = make_links(KEY, Head(), EVENTS[:1])

    assert first.hash == link_hash(KEY, bytes(32), '[1, "event 1"]')
    assert first.hash.hex() == "88961cd505e2d052e7ea1e7f2c84b9526d56238c197f601667654afc09e5741b"


def test_a_chain_goes_on_where_it_ended_and_an_event_is_linked_once() -> None:
    links = make_links(KEY, Head(), EVENTS[:2])
    again = UnsealedEvent(EVENTS[0].event_id, True, EVENTS[0].canonical)

    links += make_links(KEY, Head(2, links[-1].hash), [again, *EVENTS[2:]])

    assert links == chain()


def test_a_changed_event_is_found_once_and_the_rest_is_still_judged() -> None:
    links = chain()
    links[1] = Link(2, links[1].event_id, links[1].hash, '[1, "event 2 was changed"]')
    links[3] = Link(4, links[3].event_id, links[3].hash, '[1, "event 4 was changed"]')

    assert verified(links) == [("changed", 2), ("changed", 4)]


def test_an_event_that_is_gone_is_found() -> None:
    links = chain()
    links[1] = Link(2, links[1].event_id, links[1].hash, None)

    assert verified(links) == [("missing", 2)]


def test_an_event_that_vanished_before_it_was_sealed_stays_on_record() -> None:
    links = make_links(KEY, Head(), [EVENTS[0], UnsealedEvent(EVENTS[1].event_id, False, None), EVENTS[2]])

    assert verified(links) == [("missing", 2)]


def test_links_that_are_gone_are_found_at_the_beginning_and_in_the_middle() -> None:
    links = chain()

    assert verified(links[1:]) == [("gap", 2)]
    assert verified([*links[:1], *links[3:]]) == [("gap", 4)]


def test_two_that_changed_places_are_found() -> None:
    links = chain()
    second, third = links[1:3]
    links[1] = Link(2, third.event_id, third.hash, third.canonical)
    links[2] = Link(3, second.event_id, second.hash, second.canonical)

    assert verified(links) == [("changed", 2), ("changed", 3), ("changed", 4)]


def test_a_chain_that_was_made_with_another_key_is_found() -> None:
    assert verified(make_links(b"x" * 32, Head(), EVENTS[:2])) == [("changed", 1), ("changed", 2)]


def test_a_tail_that_was_cut_off_is_found_by_the_head_that_was_known() -> None:
    links = chain()
    head = Head(5, links[4].hash)

    assert verified(links, head) == []
    assert verified(links[:3]) == []
    assert verified(links[:3], head) == [("cut_off", 3)]
    assert verified(links, Head(3, links[2].hash)) == []


def test_a_tail_that_was_written_anew_is_found_by_the_head_that_was_known() -> None:
    links = chain()
    head = Head(5, links[4].hash)
    forged = [*links[:4], *make_links(KEY, Head(4, links[3].hash), [UnsealedEvent(UUID(int=9), False, "[]")])]

    assert verified(forged) == []
    assert verified(forged, head) == [("rewritten", 5)]


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (EventState(UUID(int=1), is_linked=True, is_waiting=False, is_old=True), []),
        (EventState(UUID(int=1), is_linked=False, is_waiting=True, is_old=False), []),
        (EventState(UUID(int=1), is_linked=False, is_waiting=True, is_old=True), ["waiting"]),
        (EventState(UUID(int=1), is_linked=False, is_waiting=False, is_old=False), ["never_sealed"]),
    ],
)
def test_an_event_without_a_link_needs_a_reason(event: EventState, kinds: list[str]) -> None:
    verification = Verification(KEY)

    verification.look_at_event(event)

    assert [finding.kind for finding in verification.findings] == kinds
    assert verification.is_intact == (kinds == [])


def test_of_very_many_findings_only_the_number_is_kept() -> None:
    verification = Verification(KEY)

    for position in range(1, 1_001):
        verification.look_at(Link(position, UUID(int=position), bytes(32), "[]"))

    assert (len(verification.findings), verification.finding_count) == (MAX_FINDINGS, 1_000)


def test_a_head_is_read_as_it_is_written() -> None:
    head = Head(12, bytes(range(32)))

    assert parse_head(str(head)) == head
    for wrong in ("", "12", "12:", "12:abc", "-1:" + "0" * 64, "x:" + "0" * 64, "1" * 19 + ":" + "0" * 64):
        with pytest.raises(ValueError, match="POSITION:HASH"):
            parse_head(wrong)
