"""Configuration bundles: sealed for a recovery key, opened with nothing else, and kept beside the backups."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.queries.installation_secrets import put_secret
from app.db.workbench import Workbench
from app.domain.configuration import (
    Bundle,
    ConfigurationDamaged,
    ConfigurationExists,
    ConfigurationRefused,
    GivenSetting,
    WrongRecoveryKey,
    read_bundle,
)
from app.domain.findings import Level
from app.domain.maintenance import BackupOptions
from app.domain.permissions import COMMAND_LINE
from app.ops.backups.backup import backup
from app.ops.backups.configuration import (
    KEPT_BUNDLES,
    Record,
    gather,
    keep_configuration,
    make_recovery_key,
    put_record,
    seal,
    unseal,
    write_key_copy,
)
from app.ops.backups.configuration_files import compare, env_text, overridden, place
from app.ops.installation import check_key_copy
from app.settings import Settings, SettingsError, inspect_settings, load_settings
from app.vault import Vault, make_key
from tests.conftest import ENCRYPTION_KEY
from tests.ops.maintenance.workshop import Workshop

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AWKWARD = 'it\'s a \\ "secret" # with $HOME = \u00fc'


def make_bundle(**others: str) -> Bundle:
    """A bundle with these settings beside the usual ones."""
    given = {"PORT": "3002", "SMTP_PASSWORD": AWKWARD, **others}
    settings = tuple(GivenSetting(name, value, ".env") for name, value in sorted(given.items()))
    return Bundle(NOW, "1.0.0", settings, key_file=make_key(), key_fingerprints=("0123",))


def test_the_recovery_key_alone_opens_a_bundle() -> None:
    recovery_key, recipient = make_recovery_key()
    bundle = make_bundle()
    sealed = seal(bundle, recipient)

    assert unseal(sealed.encode(), recovery_key) == bundle
    assert unseal(sealed.encode(), f" {recovery_key.lower()}\n") == bundle
    assert sealed.isascii()
    assert str(bundle.key_file) not in sealed
    assert AWKWARD not in repr(bundle)
    with pytest.raises(WrongRecoveryKey):
        unseal(sealed.encode(), make_recovery_key()[0])
    with pytest.raises(WrongRecoveryKey, match="AGE-SECRET-KEY-1"):
        unseal(sealed.encode(), "hello")


def test_a_damaged_bundle_is_told_from_a_foreign_file_and_from_a_wrong_key() -> None:
    recovery_key, recipient = make_recovery_key()
    sealed = seal(make_bundle(), recipient)
    lines = sealed.splitlines()
    flipped = [*lines[:-3], lines[-3].translate(str.maketrans("abcdABCD", "badcBADC")), *lines[-2:]]

    for damaged in (sealed[:-80], "\n".join(flipped), "\n".join([*lines[:6], *lines[8:]])):
        with pytest.raises(ConfigurationDamaged):
            unseal(damaged.encode(), recovery_key)
    for foreign in (b"", b"PORT=1", b"PGDMP\x00"):
        with pytest.raises(ConfigurationRefused, match="no configuration bundle"):
            unseal(foreign, recovery_key)


def test_a_bundle_of_another_product_or_a_newer_release_is_refused() -> None:
    document = make_bundle().as_document()

    assert read_bundle(document) == read_bundle({**document, "unknown": 1})
    with pytest.raises(ConfigurationRefused, match="but of another"):
        read_bundle({**document, "product": "another"})
    with pytest.raises(ConfigurationRefused, match="newer release"):
        read_bundle({**document, "format": 2})
    broken: object
    for broken in ([], {}, {**document, "settings": [1]}, {**document, "createdAt": "soon"}):
        with pytest.raises(ConfigurationRefused):
            read_bundle(broken)


def test_every_setting_that_was_set_is_in_it_with_where_it_came_from(tmp_path: Path) -> None:
    secret, env = tmp_path / "key", tmp_path / ".env"
    secret.write_text(ENCRYPTION_KEY)
    env.write_text("PORT=1234\nLOG_LEVEL=debug\nDATABASE_URL=postgresql://a:b@c/d\n")
    environ = {"PORT": "4321", "ENCRYPTION_KEY_FILE": str(secret), "HOME": "/root"}

    bundle = gather(load_settings(environ, env), now=NOW)

    assert {one.name: (one.value, one.source) for one in bundle.settings} == {
        "PORT": ("4321", "environment"),
        "LOG_LEVEL": ("debug", str(env)),
        "DATABASE_URL": ("postgresql://a:b@c/d", str(env)),
        "ENCRYPTION_KEY": (ENCRYPTION_KEY, str(secret)),
    }
    assert bundle.key_file is None


def test_a_bundle_becomes_files_again_that_give_the_same_settings(tmp_path: Path) -> None:
    bundle = make_bundle(ADMIN_PASSWORD="not ${HOME} at all", SMTP_HOST="mail", SMTP_USERNAME="me")

    placed = place(bundle, tmp_path, tmp_path / "data", force=False, now=NOW)

    found = inspect_settings({}, tmp_path / ".env")
    assert {one.name: one.value for one in found.settings.given} == bundle.values
    assert found.problems == ()
    assert (tmp_path / "data" / "encryption.key").read_text().strip() == bundle.key_file
    assert {stat.S_IMODE(one.path.stat().st_mode) for one in placed} == {0o600}
    assert [one.is_new for one in place(bundle, tmp_path, tmp_path / "data", force=False, now=NOW)] == [False] * 3


@pytest.mark.parametrize("folder_name", ["plain", "it's \\ # \u00fc"])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")), min_size=3, max_size=3)
)
def test_any_value_comes_back_exactly_as_it_was_read(
    tmp_path_factory: pytest.TempPathFactory, folder_name: str, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any") / folder_name
    names = ("ADMIN_PASSWORD", "OIDC_CLIENT_SECRET", "SMTP_PASSWORD")  # any text is read, right or wrong
    environ = dict(zip(names, texts, strict=True)) | {"SMTP_PASSWORD": f"${{HOME}}{texts[2]}"}
    before = inspect_settings(environ, None).settings.given
    bundle = Bundle(NOW, "1.0.0", tuple(GivenSetting(one.name, one.value, "environment") for one in before), None, ())

    place(bundle, folder, folder, force=False, now=NOW)

    after = inspect_settings({}, folder / ".env").settings.given
    assert {one.name: one.value for one in after} == {one.name: one.value for one in before}


def test_a_value_that_no_file_can_hold_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SMTP_HOST holds a carriage return"):
        place(make_bundle(SMTP_HOST="a\rb"), tmp_path, tmp_path, force=False, now=NOW)

    assert list(tmp_path.iterdir()) == []


def test_a_secret_file_of_the_environment_that_goes_before_is_told(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("another")

    assert overridden(make_bundle(), {"SMTP_PASSWORD_FILE": str(secret), "PORT": "3002"}) == ("SMTP_PASSWORD",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root restores for another account")
def test_what_root_restores_belongs_to_the_owner_of_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)

    place(make_bundle(), home, home / "srv" / "data", force=False, now=NOW)

    assert {one.stat().st_uid for one in home.rglob("*")} == {65534}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root leaves files of another account")
def test_the_note_of_a_copy_that_root_wrote_does_not_stop_the_server(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    (tmp_path / "encryption.key").write_text(make_key())
    os.chown(tmp_path, 65534, 65534)

    write_key_copy(settings, gather(settings, now=NOW), "s3://bucket/x")
    write_key_copy(settings, gather(settings, now=NOW), "s3://bucket/y")

    note = tmp_path / "encryption.key.copy"
    assert (note.stat().st_uid, stat.S_IMODE(note.stat().st_mode)) == (65534, 0o644)
    assert "s3://bucket/y" in note.read_text()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["encryption.key", "encryption.key.copy"]


def test_what_is_there_is_never_overwritten_unless_forced_and_then_kept(tmp_path: Path) -> None:
    bundle = make_bundle()
    env, key = tmp_path / ".env", tmp_path / "encryption.key"
    env.write_text("PORT=1\nHOST=::1\n")
    key.write_text("old\n")

    with pytest.raises(ConfigurationExists, match="Another encryption key"):
        place(bundle, tmp_path, tmp_path, force=False, now=NOW)
    assert (env.read_text(), key.read_text()) == ("PORT=1\nHOST=::1\n", "old\n")

    found = compare(bundle, env)
    placed = place(bundle, tmp_path, tmp_path, force=True, now=NOW)

    assert (found.missing, found.changed, found.extra) == (("SMTP_PASSWORD",), ("PORT",), ("HOST",))
    assert env.read_text() == env_text(bundle, tmp_path)
    assert {one.kept.read_text() for one in placed if one.kept} == {"PORT=1\nHOST=::1\n", "old\n"}
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        *(".env", ".env.before-20260301T120000Z", "encryption.key", "encryption.key.before-20260301T120000Z"),
    ]


def test_the_key_counts_as_copied_while_the_note_is_about_this_key(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    key = tmp_path / "encryption.key"
    key.write_text(make_key())

    [alone] = check_key_copy(settings)
    write_key_copy(settings, gather(settings, now=NOW), "s3://bucket/x")
    [copied] = check_key_copy(settings)
    key.write_text(f"{make_key()},{key.read_text()}")
    [rotated] = check_key_copy(settings)

    assert (alone.level, copied.level, rotated.level) == (Level.WARNING, Level.GOOD, Level.WARNING)
    assert copied.sentence == "A copy of the encryption key was put into s3://bucket/x on 2026-03-01 12:00Z."
    key.unlink()
    assert check_key_copy(settings) == []


async def test_each_backup_puts_the_bundle_beside_it_when_it_has_changed(workshop: Workshop) -> None:
    recovery_key, recipient = make_recovery_key()
    folder = workshop.bench.settings.backup_dir

    before = await backup(workshop.bench, BackupOptions())
    assert bundles_in(folder) == []
    await begin(workshop.bench, recipient)
    first = await backup(workshop.bench, BackupOptions())
    await keep_configuration(workshop.bench)
    [name] = bundles_in(folder)

    assert (before.warnings, first.warnings) == ((), ())
    assert unseal((folder / name).read_bytes(), recovery_key).key_fingerprints == workshop.bench.vault.fingerprints()
    (folder / name).unlink()
    await keep_configuration(workshop.bench)
    assert bundles_in(folder) == [name]
    events = workshop.sql("SELECT subject_id, data->'places' FROM audit_events WHERE event = 'configuration.backed_up'")
    assert [places for _, places in events] == [[], ["local"], ["local"]]


async def test_the_last_ten_bundles_are_kept(workshop: Workshop) -> None:
    _, recipient = make_recovery_key()
    await begin(workshop.bench, recipient)
    folder = workshop.bench.settings.backup_dir
    folder.mkdir()
    days = (NOW + timedelta(days=day) for day in range(100))
    (folder / "configuration-20200101T000000Z.age.partial").write_text("cut off")

    for day in range(KEPT_BUNDLES + 2):
        given = load_settings({"PORT": str(4000 + day)}, None).given
        bench = replace(workshop.bench, settings=workshop.bench.settings.with_given(given), now=days.__next__)
        assert await keep_configuration(bench) == ()

    names = bundles_in(folder)
    assert len(names) == KEPT_BUNDLES
    assert (names[0], names[-1]) == ("configuration-20260303T120000Z.age", "configuration-20260312T120000Z.age")


async def test_a_store_that_takes_no_bundle_is_a_warning_and_the_backup_is_good(workshop: Workshop) -> None:
    _, recipient = make_recovery_key()
    await begin(workshop.bench, recipient)
    blocked = workshop.bench.settings.backup_dir.with_name("file")
    blocked.write_text("")
    bench = replace(workshop.bench, settings=workshop.bench.settings.model_copy(update={"backup_dir": blocked}))

    [warning] = await keep_configuration(bench)

    assert warning.startswith(("The configuration bundle is not everywhere: ", "The configuration was not backed up: "))
    assert str(blocked) in warning


@pytest.mark.parametrize(
    "kept", ["x", "{}", "[]", json.dumps({"recipient": "age1nonsense", "signature": "", "fileName": ""})]
)
async def test_a_record_that_somebody_changed_is_a_warning_and_nothing_is_sealed_for_it(
    workshop: Workshop, kept: str
) -> None:
    bench = workshop.bench
    async with bench.database.transaction() as tx:
        await put_secret(tx, "configuration", bench.vault.encrypt(kept), now=NOW)

    done = await backup(bench, BackupOptions())

    assert done.failure is None
    [warning] = done.warnings
    assert "--new-recovery-key" in warning
    assert bundles_in(bench.settings.backup_dir) == []


async def test_a_recipient_that_the_database_alone_put_there_is_not_believed(workshop: Workshop) -> None:
    bench, attacker = workshop.bench, Vault((make_key(),))
    record = {"recipient": make_recovery_key()[1], "signature": "", "fileName": ""}
    async with bench.database.transaction() as tx:
        await put_secret(tx, "configuration", attacker.encrypt(json.dumps(record)), now=NOW)

    [warning] = await keep_configuration(bench)

    assert "None of the keys" in warning
    assert bundles_in(bench.settings.backup_dir) == []


async def begin(bench: Workbench, recipient: str) -> None:
    """Somebody has made a recovery key."""
    bundle = gather(bench.settings, now=NOW)
    await put_record(bench.database, bench.vault, Record(recipient), bundle, COMMAND_LINE, [])


def bundles_in(folder: Path) -> list[str]:
    """The names of the bundles there."""
    return sorted(one.name for one in folder.glob("configuration-*"))
