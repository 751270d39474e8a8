"""`.env.example` and docs/settings.md tell what the code does: every setting, its meaning and its default."""

import re
import shutil
from pathlib import Path

import pytest

from app.settings import SETTING_NAMES, Settings, load_settings

ROOT = Path(__file__).parents[2]
ENV_EXAMPLE = ROOT / ".env.example"
DOCUMENT = ROOT / "docs" / "settings.md"


def default_text(name: str) -> str:
    """The default the way an operator would write it; empty when there is none."""
    value = getattr(load_settings({}, None), name.lower())
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def entries() -> dict[str, tuple[str, str, str]]:
    """Meaning, example and default of every setting in `.env.example`."""
    pattern = re.compile(r"((?:^# .*\n)+)^# Example: ([A-Z][A-Z0-9_]*)=(.+)\n^#\2=(.*)$", re.MULTILINE)
    return {
        name: (" ".join(comment.replace("# ", " ").split()), example, default)
        for comment, name, example, default in pattern.findall(ENV_EXAMPLE.read_text(encoding="utf-8"))
    }


def test_env_example_holds_every_setting_and_nothing_else() -> None:
    named = re.findall(r"^#? ?([A-Za-z][A-Za-z0-9_]*)=", ENV_EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)

    assert named == list(SETTING_NAMES)
    assert list(entries()) == list(SETTING_NAMES)


@pytest.mark.parametrize("name", SETTING_NAMES)
def test_env_example_tells_the_real_meaning_and_default(name: str) -> None:
    meaning, _, default = entries()[name]

    assert meaning == Settings.model_fields[name.lower()].description
    assert default == default_text(name)


def test_a_copy_of_env_example_changes_nothing(tmp_path: Path) -> None:
    shutil.copy(ENV_EXAMPLE, tmp_path / ".env")

    loaded = load_settings({}, tmp_path / ".env")

    assert loaded.model_fields_set == set()


def test_the_defaults_of_env_example_load_to_the_same_settings_when_written_out(tmp_path: Path) -> None:
    lines = [f"{name}={default}" for name, (_, _, default) in entries().items()]
    (tmp_path / ".env").write_text("\n".join(lines), encoding="utf-8")

    loaded = load_settings({"SMTP_HOST": "mail.example.com"}, tmp_path / ".env")

    assert loaded == load_settings({}, None).model_copy(update={"smtp_host": "mail.example.com"})


def test_the_examples_load_together(tmp_path: Path) -> None:
    examples = {name: example for name, (_, example, _) in entries().items() if not example.startswith("<")}
    examples |= {"ENCRYPTION_KEY": "A" * 43 + "=", "SMTP_PASSWORD": "secret", "OIDC_CLIENT_SECRET": "secret"}

    loaded = load_settings(examples, None)

    assert loaded.model_fields_set == {name.lower() for name in examples}


def test_the_document_lists_every_setting_with_its_meaning_and_default() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \| (.+) \| (.+) \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)

    assert [tuple(row) for row in rows] == [
        (
            name,
            Settings.model_fields[name.lower()].description,
            f"`{default_text(name)}`" if default_text(name) else "not set",
        )
        for name in SETTING_NAMES
    ]
