"""The vault: keys are rotated without losing anything, and the key file is made once and for its owner alone."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from app.vault import Vault, VaultError, keys_from_text, read_or_make_key_file

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_was_encrypted_is_read_again_and_cannot_be_seen(text: str) -> None:
    vault = Vault((OLD,))

    token = vault.encrypt(text)

    assert vault.decrypt(token) == text
    assert len(text) < 4 or text.encode() not in token


def test_a_new_key_in_front_encrypts_and_the_old_one_still_opens() -> None:
    before = Vault((OLD,)).encrypt("secret")

    rotated = Vault((NEW, OLD))

    assert rotated.decrypt(before) == "secret"
    assert Vault((NEW,)).decrypt(rotated.encrypt("new secret")) == "new secret"
    with pytest.raises(VaultError):
        Vault((OLD,)).decrypt(rotated.encrypt("new secret"))


@pytest.mark.parametrize("token", [b"", b"nonsense", "ü".encode()])
def test_what_is_no_secret_is_an_error_that_says_what_to_do(token: bytes) -> None:
    with pytest.raises(VaultError, match="add the key it was made with"):
        Vault((NEW, OLD)).decrypt(token)


def test_what_no_key_opens_is_an_error_that_says_what_to_do() -> None:
    token = Vault((OTHER,)).encrypt("secret")

    with pytest.raises(VaultError, match="add the key it was made with"):
        Vault((NEW, OLD)).decrypt(token)


def test_what_was_changed_on_the_way_is_not_opened() -> None:
    token = bytearray(Vault((OLD,)).encrypt("secret"))
    token[-5] ^= 1

    with pytest.raises(VaultError):
        Vault((OLD,)).decrypt(bytes(token))


def test_keys_are_a_list_with_commas() -> None:
    assert keys_from_text(" a, b ,,\nc\n") == ("a", "b", "c")
    assert keys_from_text(" \n") == ()


def test_a_missing_key_file_is_made_for_its_owner_alone_and_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / "encryption.key"

    first = read_or_make_key_file(path)

    assert read_or_make_key_file(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["encryption.key"]
    Vault(first)


@pytest.mark.parametrize("content", ["", "\n", "nonsense", ",", "\xff\xfe"])
def test_a_key_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "encryption.key"
    path.write_bytes(content.encode("latin-1"))

    with pytest.raises(VaultError, match=r"encryption\.key"):
        read_or_make_key_file(path)

    assert path.read_bytes() == content.encode("latin-1")


def test_a_key_file_in_a_place_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(VaultError):
        read_or_make_key_file(tmp_path / "file" / "encryption.key")


def test_threads_that_race_for_the_key_file_all_get_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        for attempt in range(20):
            path = tmp_path / str(attempt) / "encryption.key"
            assert len(set(threads.map(lambda _, path=path: read_or_make_key_file(path), range(16)))) == 1


def test_processes_that_race_for_the_key_file_all_get_the_same_key(tmp_path: Path) -> None:
    with get_context("spawn").Pool(4) as processes:
        for attempt in range(10):
            path = tmp_path / str(attempt) / "encryption.key"
            assert len(set(processes.map(read_or_make_key_file, [path] * 8, chunksize=1))) == 1
