"""License keys: their shape, and that they are found however they were typed."""

from __future__ import annotations

import random
import secrets

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.license_keys import canonical_license_key, hash_license_key, make_license_key

ISSUED = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=20, max_size=20).map(
    lambda bare: "-".join(bare[start : start + 4] for start in range(0, 20, 4))
)


@given(st.integers())
def test_a_new_license_key_has_five_groups_of_four_characters_that_cannot_be_mistaken(seed: int) -> None:
    license_key = make_license_key(random.Random(seed).choice)

    assert [len(group) for group in license_key.split("-")] == [4, 4, 4, 4, 4]
    assert set(license_key) <= set("ABCDEFGHJKLMNPQRSTUVWXYZ23456789-")
    assert canonical_license_key(license_key) == license_key


def test_license_keys_of_the_system_source_do_not_repeat_and_use_the_whole_alphabet() -> None:
    license_keys = {make_license_key(secrets.choice) for _ in range(500)}

    assert len(license_keys) == 500
    assert set("".join(license_keys)) == set("ABCDEFGHJKLMNPQRSTUVWXYZ23456789-")


@pytest.mark.parametrize(
    "typed",
    [
        "ABCD-EFGH-JKLM-NPQR-2345",
        "abcd-efgh-jklm-npqr-2345",
        "ABCDEFGHJKLMNPQR2345",
        "  abcd efgh jklm npqr 2345 ",
        "\nabcd-efgh-jklm-npqr-2345\r\n",
        "ABCD\tEFGH\tJKLM\tNPQR\t2345",
        "AB-CDEF-GHJK-LMNP-QR23-45",
    ],
)
def test_a_license_key_is_found_however_it_was_typed(typed: str) -> None:
    assert canonical_license_key(typed) == "ABCD-EFGH-JKLM-NPQR-2345"


@given(ISSUED, st.sampled_from(["-", "", " ", "\t", " - "]), st.sampled_from(["", " ", "\n", "\u00a0"]), st.booleans())
def test_case_separators_and_surrounding_space_do_not_matter(
    license_key: str, separator: str, around: str, is_lower: bool
) -> None:
    typed = around + license_key.replace("-", separator) + around

    assert canonical_license_key(typed.lower() if is_lower else typed) == license_key


@pytest.mark.parametrize(
    "imported",
    [
        "legacy-key-1",
        "ABCD-EFGH-JKLM-NPQR",
        "ABCD-EFGH-JKLM-NPQR-2345-6789",
        "OOOO-IIII-0000-1111-ABCD",
        "aaaa_bbbb_cccc_dddd_eeee",
        "ßßßßßßßßßß",
        "\u017f" * 20,
        "",
    ],
)
def test_a_key_of_another_shape_stays_as_it_is(imported: str) -> None:
    assert canonical_license_key(f" \n{imported}\t ") == imported


@given(st.text(max_size=30) | st.text("ABab23-ß \n\t", max_size=26))
@example("\naaaa-aaaa-aaaa-aaaa-aaaa")
@example("\u00a0aaaa-aaaa-aaaa-aaaa-aaaa")
@example("ßßßßßßßßßß")
def test_making_canonical_twice_changes_nothing(typed: str) -> None:
    once = canonical_license_key(typed)

    assert canonical_license_key(once) == once
    assert once == typed.strip() or (len(once) == 24 and _bare(once) == _bare(typed).upper())


def _bare(text: str) -> str:
    return "".join(character for character in text if character != "-" and not character.isspace())


def test_the_hash_is_sha_256_of_the_canonical_license_key() -> None:
    expected = bytes.fromhex("3fa940d5340fe46940438ffe9637b1fa45a2be357ff0e03d25cd301c6b959933")

    assert hash_license_key("ABCD-EFGH-JKLM-NPQR-2345") == expected
    assert hash_license_key("abcdefghjklmnpqr2345") == expected
