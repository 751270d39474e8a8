"""The ledger of a run lists what somebody should look at, however much there is."""

from __future__ import annotations

from app.domain.upkeep import Action
from app.ops.maintenance.ledger import MAX_ENTRIES, Ledger, Piece


def test_what_needed_nothing_never_pushes_what_was_done_or_failed_off_the_list() -> None:
    ledger = Ledger()
    for number in range(3000):
        ledger.leave({"name": f"idle {number}", "action": Action.SKIPPED})
    for number in range(1500):
        ledger.add(Piece({"name": f"done {number}", "action": Action.VACUUMED}))
    ledger.add(Piece({"name": "locked", "action": Action.FAILED}, "locked: somebody had locked it"))

    outcome = ledger.outcome("tables")

    listed = outcome.result["tables"]
    assert [entry["name"] for entry in listed[:3]] == ["locked", "done 0", "done 1"]
    assert (len(listed), outcome.result["unlisted"]) == (MAX_ENTRIES, 3501)
    assert (outcome.failure, outcome.warnings) == (None, ("locked: somebody had locked it",))
