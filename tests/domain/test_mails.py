"""What mails say: the token, how long it lives, and a link only to the address that was set."""

from __future__ import annotations

from datetime import timedelta

from app.domain import mails

HOURS = timedelta(hours=72)


def test_a_link_carries_its_token_behind_the_hash_sign() -> None:
    mail = mails.invitation("a@acme.example", "itsi_x", "Acme Corp", HOURS, "https://licenses.example/")

    assert mail.to == "a@acme.example"
    assert "join Acme Corp on" in mail.text
    assert "\nhttps://licenses.example/account/accept-invitation#token=itsi_x\n" in mail.text
    assert "within 72 hours" in mail.text


def test_without_a_public_address_there_is_the_token_and_no_link() -> None:
    mail = mails.password_reset("a@acme.example", "itsp_x", timedelta(hours=1), None)

    assert "\nitsp_x\n" in mail.text
    assert "within one hour" in mail.text
    assert "://" not in mail.text


def test_pauses_double_up_to_a_quarter_of_an_hour() -> None:
    assert [mails.pause_after(attempts).total_seconds() for attempts in (1, 2, 3, 7, 8, 9, 1000)] == [
        5,
        10,
        20,
        320,
        640,
        900,
        900,
    ]
