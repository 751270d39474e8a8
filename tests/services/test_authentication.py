"""Authentication: sessions begin with a password, end in time, and end at once when asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import argon2
import pytest

from app.db.models import User
from app.db.session import Session
from app.domain.errors import EncryptionKeyMissing, InvalidCredentials, UserNotFound
from app.domain.permissions import MissingFactor, Permission, PrincipalKind, Role
from app.passwords import Passwords
from app.services import authentication, users
from app.services.authentication import Origin, Refusal, RefusalReason
from app.vault import Vault, make_key
from tests.factories.store import NOW, VAULT, make_organization
from tests.services.conftest import trail

ORIGIN = Origin("192.0.2.8", "request-2")


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield passwords
    passwords.close()


@pytest.fixture
async def operator(tx: Session, passwords: Passwords) -> User:
    password_hash = await passwords.hash("correct horse battery")
    made = await users.create_first_operator(tx, "Op@Acme.example", password_hash, now=NOW)
    assert made is not None
    return made


async def test_the_right_password_opens_a_session_for_twelve_hours(
    tx: Session, passwords: Passwords, operator: User
) -> None:
    account = await authentication.find_account(tx, "OP@acme.EXAMPLE")
    user = await authentication.check_password(passwords, account, "correct horse battery")
    signed_in = await authentication.sign_in(tx, user, ORIGIN, VAULT, now=NOW)

    assert signed_in.expires_at == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    caller = await authentication.identify(tx, signed_in.token, ORIGIN, now=NOW)
    assert caller is not None
    assert (caller.id, caller.organization_id, caller.permissions) == (operator.id, None, frozenset(Permission))
    assert await authentication.identify(tx, signed_in.token, ORIGIN, now=signed_in.expires_at) is None
    assert [event.event for event in await trail(tx, operator.id)] == ["user.created", "user.signed_in"]


async def test_a_wrong_password_and_an_unknown_account_are_the_same_refusal(
    tx: Session, passwords: Passwords, operator: User
) -> None:
    for email in ("op@acme.example", "nobody@acme.example"):
        account = await authentication.find_account(tx, email)
        with pytest.raises(InvalidCredentials, match="The e-mail address or the password is wrong"):
            await authentication.check_password(passwords, account, "wrong")


async def test_a_disabled_user_neither_signs_in_nor_goes_on(tx: Session, operator: User) -> None:
    signed_in = await authentication.sign_in(tx, operator, ORIGIN, VAULT, now=NOW)

    operator.disabled_at = NOW
    await tx.flush()

    assert await authentication.find_account(tx, "op@acme.example") is None
    assert await authentication.identify(tx, signed_in.token, ORIGIN, now=NOW) is None


async def test_signing_out_ends_this_session_at_once_and_no_other(tx: Session, operator: User) -> None:
    first = await authentication.sign_in(tx, operator, ORIGIN, VAULT, now=NOW)
    second = await authentication.sign_in(tx, operator, ORIGIN, VAULT, now=NOW)
    caller = await authentication.identify(tx, first.token, ORIGIN, now=NOW)
    assert caller is not None

    await authentication.sign_out(tx, caller, now=NOW + timedelta(minutes=1))

    assert await authentication.identify(tx, first.token, ORIGIN, now=NOW) is None
    assert await authentication.identify(tx, second.token, ORIGIN, now=NOW) is not None
    assert (await trail(tx, operator.id))[-1].event == "user.signed_out"


async def test_a_new_password_ends_all_sessions_and_the_old_password(
    tx: Session, passwords: Passwords, operator: User
) -> None:
    signed_in = await authentication.sign_in(tx, operator, ORIGIN, VAULT, now=NOW)

    await users.reset_password(tx, "op@acme.example", await passwords.hash("another horse"), now=NOW)

    assert await authentication.identify(tx, signed_in.token, ORIGIN, now=NOW) is None
    with pytest.raises(InvalidCredentials):
        await authentication.check_password(passwords, operator, "correct horse battery")
    assert (await trail(tx, operator.id))[-1].event == "user.password_reset"


async def test_a_password_that_was_changed_while_it_was_checked_opens_no_session(
    tx: Session, passwords: Passwords, operator: User
) -> None:
    proven = User(id=operator.id, password_hash=operator.password_hash, role=operator.role)
    await users.reset_password(tx, "op@acme.example", await passwords.hash("another horse"), now=NOW)

    with pytest.raises(InvalidCredentials):
        await authentication.sign_in(tx, proven, ORIGIN, VAULT, now=NOW)


async def test_a_password_of_nobody_cannot_be_reset(tx: Session) -> None:
    with pytest.raises(UserNotFound, match=r"nobody@acme\.example"):
        await users.reset_password(tx, "nobody@acme.example", "hash", now=NOW)


async def test_why_a_session_is_refused_is_known_to_the_log(tx: Session, operator: User) -> None:
    ended = await authentication.sign_in(tx, operator, ORIGIN, VAULT, now=NOW)
    left = await authentication.sign_in(tx, operator, ORIGIN, VAULT, now=NOW)
    caller = await authentication.identify(tx, left.token, ORIGIN, now=NOW)
    assert caller is not None
    await authentication.sign_out(tx, caller, now=NOW)

    reasons = [await authentication.explain_refusal(tx, token) for token in (ended.token, left.token, "itss_x")]
    operator.disabled_at = NOW
    await tx.flush()
    reasons.append(await authentication.explain_refusal(tx, ended.token))

    assert reasons == [
        Refusal(RefusalReason.EXPIRED, PrincipalKind.USER, operator.id),
        Refusal(RefusalReason.REVOKED, PrincipalKind.USER, operator.id),
        Refusal(RefusalReason.UNKNOWN),
        Refusal(RefusalReason.DISABLED, PrincipalKind.USER, operator.id),
    ]


async def test_a_second_factor_whose_key_is_missing_is_told_and_opens_no_session(tx: Session, operator: User) -> None:
    operator.totp_secret_encrypted = Vault((make_key(),)).encrypt("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
    operator.totp_confirmed_at = NOW

    with pytest.raises(EncryptionKeyMissing):
        await authentication.sign_in(tx, operator, ORIGIN, VAULT, code="123456", now=NOW)


async def test_only_operators_are_asked_to_set_a_second_factor_up(tx: Session, operator: User) -> None:
    organization = await make_organization(tx)
    viewer = User(email="viewer@acme.example", name="Viewer", role=Role.VIEWER, organization_id=organization.id)
    tx.add(viewer)
    await tx.flush()

    missing = []
    for user in (operator, viewer):
        signed_in = await authentication.sign_in(tx, user, ORIGIN, VAULT, now=NOW)
        caller = await authentication.identify(tx, signed_in.token, ORIGIN, must_have_second_factor=True, now=NOW)
        assert caller is not None
        missing.append((caller.missing_factor, len(caller.permissions)))

    assert missing == [(MissingFactor.SETUP, 0), (None, 4)]
