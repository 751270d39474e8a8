"""What came of a run, for people: its terms in words, and a line for each thing that something became of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.cli.output import console, in_words, say, show, show_table
from app.cli.progress import line_of
from app.domain.runs import UNDER_WAY, Progress
from app.domain.upkeep import Action
from app.domain.words import ByteCount, duration_in_words
from app.telemetry.values import printable

Card = Mapping[str, Any]

_OBJECTS = ("tables", "indexes", "leftovers")
"""What results list with a name, an action and its reason each; the rest of it is in the JSON."""
_TOLD_IN_LINES = (*_OBJECTS, "kinds", "unlisted", "dryRun", "steps", "gaps", "answers", "run", "checks")


def show_result(card: Card, progress: Progress) -> None:
    """The run with its result; warnings go to stderr."""
    result = card["result"] or {}
    terms = _terms(card, progress) | {name: one for name, one in result.items() if name not in _TOLD_IN_LINES}
    show({name: value for name, value in terms.items() if value not in (None, [], {})}, as_json=False)
    for noun in _OBJECTS:
        _show_objects(noun, result.get(noun, ()), card)
    if result.get("unlisted"):
        _tell(f"{result['unlisted']} more are not listed.")
    show_table("steps", [_step_line(one) for one in result.get("steps", ())])
    if "kinds" in result:
        _show_kinds(result["kinds"], card["warnings"], is_dry=result.get("dryRun", False))
    _show_examination(result, card["warnings"])


def show_outcome(result: Card, warnings: Sequence[str]) -> None:
    """What came of work that no run is on record of; warnings go to stderr."""
    show({name: one for name, one in result.items() if name not in _TOLD_IN_LINES}, as_json=False)
    _show_examination(result, warnings)


def line_of_run(card: Card) -> dict[str, Any]:
    """The run as a line of a list that fits a terminal."""
    return {
        "id": card["id"],
        "kind": card["kind"],
        "status": _status(card),
        "started": card["startedAt"],
        "took": _took(card),
        "schedule": card["schedule"],
        "failure": card["failure"],
    }


def _show_examination(result: Card, warnings: Sequence[str]) -> None:
    show_table("checks", [{**one, "ok": "good" if one["ok"] else "wrong"} for one in result.get("checks", ())])
    for warning in warnings:
        say(f"Warning: {printable(warning)}")


def _terms(card: Card, progress: Progress) -> dict[str, Any]:
    by = card["requestedBy"]
    is_under_way = card["status"] in UNDER_WAY
    return {
        "id": card["id"],
        "kind": card["kind"],
        "status": _status(card),
        "options": {name: value for name, value in card["options"].items() if value} or None,
        "trigger": card["trigger"],
        "schedule": card["schedule"],
        "slot": card["slotAt"],
        "requested": f"{in_words(card['requestedAt'])} by {_words(by['kind'])} {by['id'] or ''}".rstrip(),
        "started": card["startedAt"],
        "took": _took(card),
        "cancel requested": card["cancelRequestedAt"],
        "progress": line_of(progress).strip() if is_under_way else None,
        "failure": card["failure"],
    }


def _show_objects(noun: str, entries: Sequence[Card], card: Card) -> None:
    """All that something was done to; what was skipped is counted, unless it was asked for by its name."""
    is_named = bool(card["options"].get("tables") or card["options"].get("indexes"))
    told = [one for one in entries if is_named or one["action"] != Action.SKIPPED]
    show_table(noun, [{name: one[name] for name in ("name", "action", "reason")} for one in told])
    skipped = len(entries) - len(told)
    if skipped:
        _tell(f"{noun}: {skipped} skipped; why each: license-server runs show {card['id']} --json")


def _show_kinds(kinds: Sequence[Card], warnings: Sequence[str], *, is_dry: bool) -> None:
    lines = [
        {
            "name": one["name"],
            "kept": one["kept"],
            "rows": f"{one['rows']:,}",
            "size": str(ByteCount(one["bytes"])),
            "archives": len(one["archives"]),
        }
        for one in kinds
    ]
    show_table("what would go" if is_dry else "what went", lines)
    for one in kinds:
        for sentence in one["skipped"]:
            if f"{one['name']}: {sentence}" not in warnings:
                _tell(f"{one['name']}: {sentence}")


def _step_line(step: Card) -> Card:
    """A step of a drill."""
    return {
        "step": step["name"],
        "took": duration_in_words(step["seconds"]),
        "what came of it": step.get("failure") or step["detail"],
    }


def _took(card: Card) -> str | None:
    started_at, finished_at = card["startedAt"], card["finishedAt"]
    if not isinstance(started_at, datetime) or not isinstance(finished_at, datetime):
        return None
    return duration_in_words((finished_at - started_at).total_seconds())


def _status(card: Card) -> str:
    return _words(card["status"])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _tell(sentence: str) -> None:
    console.print(printable(sentence), markup=False, highlight=False, soft_wrap=True)
