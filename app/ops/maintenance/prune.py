"""Pruning: what is kept long enough goes, evidence into archives first; one list says what is kept how long."""

from __future__ import annotations

from datetime import datetime

from app.db.brief import briefly, refusals
from app.db.queries import legal_holds, retention
from app.db.workbench import Workbench
from app.domain.maintenance import PruneOptions
from app.domain.retention import End, Held, Kept, Kind, NotOwner, Pruned, Rule, list_rules
from app.domain.runs import Outcome, Progress
from app.ops.maintenance import archives
from app.ops.maintenance.audit_events import prune_audit_events
from app.ops.maintenance.validation_events import TellPart, prune_validation_events

DELETED_AT_ONCE = 5_000
STATEMENT_SECONDS = 3600.0
"""Long enough to copy the largest day; everything else is short."""


async def prune(bench: Workbench, options: PruneOptions) -> Outcome:
    """Let what is old go, or tell what would; each day, piece and batch is a transaction, so it may end anywhere."""
    rules = [
        rule
        for rule in list_rules(bench.settings.validation_retention_days, bench.settings.audit_retention_days)
        if rule.end in (End.ARCHIVED, End.DELETED)
    ]
    if not options.dry_run:
        archives.sweep(bench.settings.archive_dir)
    done: list[Pruned] = []
    async with bench.direct.limits(statement_seconds=STATEMENT_SECONDS):
        for rule in rules:
            tell = _teller(bench, rule, len(done), len(rules))
            tell(0.0, rule.kind)
            done.append(await _prune_if_allowed(bench, rule, tell, is_dry=options.dry_run))
    refused = [pruned.skipped[0] for pruned in done if pruned.is_refused]
    is_failure = refused and not any(pruned.rows or pruned.partitions for pruned in done)
    return Outcome(
        {"dryRun": options.dry_run, "kinds": [pruned.as_document() for pruned in done]},
        tuple(warning for pruned in done for warning in pruned.warnings),
        f"Nothing was pruned: {refused[0]}" if is_failure else None,
    )


async def _prune_if_allowed(bench: Workbench, rule: Rule, tell: TellPart, *, is_dry: bool) -> Pruned:
    """What became of a kind; one at which the role may not even look is refused."""
    try:
        with refusals():
            return await _prune_kind(bench, rule, tell, is_dry=is_dry)
    except NotOwner as error:
        pruned = Pruned(rule, is_refused=True)
        pruned.skip(str(error))
        return pruned


async def _prune_kind(bench: Workbench, rule: Rule, tell: TellPart, *, is_dry: bool) -> Pruned:
    if rule.kind is Kind.VALIDATION_EVENTS:
        return await prune_validation_events(bench, rule, is_dry=is_dry, tell=tell)
    if rule.kind is Kind.AUDIT_EVENTS:
        return await prune_audit_events(bench, rule, is_dry=is_dry, tell=tell)
    return await _prune_rows(bench, rule, is_dry=is_dry)


async def _prune_rows(bench: Workbench, rule: Rule, *, is_dry: bool) -> Pruned:
    """Delete old rows, batch by batch, each a short transaction of its own."""
    pruned = Pruned(rule)
    try:
        is_more = True
        while is_more:
            rows, size = await briefly(bench.direct, lambda: _take_rows(bench, rule, is_dry=is_dry))
            pruned.rows += rows
            pruned.bytes += size
            is_more = rows >= DELETED_AT_ONCE and not is_dry
        held = await _count_held(bench, rule)
        if held:
            pruned.skip(f"legal holds on organizations keep {held}", is_wished=True)
    except NotOwner:
        raise
    except Held as error:
        pruned.skip(str(error), is_wished=True)
    except Kept as error:
        pruned.skip(str(error))
    return pruned


async def _take_rows(bench: Workbench, rule: Rule, *, is_dry: bool) -> tuple[int, int]:
    await legal_holds.keep_holds_still(bench.direct)
    holding = await legal_holds.read_holding(bench.direct)
    if holding.is_whole and rule.is_evidence:
        raise Held("a legal hold keeps everything of the whole installation")
    if is_dry:
        return await retention.count_old(bench.direct, rule.kind, _before(bench, rule), holding)
    return await retention.delete_old(bench.direct, rule.kind, _before(bench, rule), holding, limit=DELETED_AT_ONCE)


async def _count_held(bench: Workbench, rule: Rule) -> int:
    holding = await legal_holds.read_holding(bench.direct)
    return await retention.count_held(bench.direct, rule.kind, _before(bench, rule), holding)


def _before(bench: Workbench, rule: Rule) -> datetime:
    before = rule.cutoff(bench.now())
    assert before is not None, "what is deleted is kept for a time"
    return before


def _teller(bench: Workbench, rule: Rule, done: int, total: int) -> TellPart:
    def tell(share: float, name: str) -> None:
        percent = round(100 * (done + share) / total, 1)
        bench.tell(Progress(percent, rule.kind, name, round(100 * share, 1), done, total))

    return tell
