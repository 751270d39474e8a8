"""Passwords that are among the first to be tried are refused; all others are taken, without rules of composition."""

from __future__ import annotations

import pytest

from app.domain.errors import WeakPassword
from app.domain.passwords import require_strong_password

EMAIL = "Anna.Berg@acme.example"


@pytest.mark.parametrize(
    "password",
    [
        "anna.berg@ACME.example",
        "Anna.Berg@acme.example",
        "annabergacmeexample",
        "aaaaaaaaaaaaaaaa",
        "abcabcabcabcabc",
        "121212121212",
        "password1234",
        "PasswordPassword",
        "p a s s w o r d 1 2",
        "qwertyuiopas",
        "123456789012",
        "iloveyou2024",
        "administrator",
        "itechsmart123",
        "abcdefghijkl",
    ],
)
def test_an_obvious_password_is_refused(password: str) -> None:
    with pytest.raises(WeakPassword):
        require_strong_password(password, EMAIL)


@pytest.mark.parametrize(
    "password",
    [
        "three blue boats at dawn",
        "dreiblaueboote",
        "my password is long enough",
        "7f3kq9zx1mwp",
        "пароль-из-слов",
        "anna berg likes rowing",
    ],
)
def test_any_other_is_taken(password: str) -> None:
    require_strong_password(password, EMAIL)
