"""What maintenance can be told to do: the options of each kind of run, and how they are kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from app.domain.runs import RunKind
from app.domain.words import camel_case


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Which tables, all when none is named; forced ones are done whatever the statistics say."""

    tables: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class ReindexOptions:
    """Which indexes, or those of which tables, all when none is named; forced ones are rebuilt whatever their bloat."""

    tables: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    force: bool = False


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """A dry run tells what would go, and touches nothing."""

    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """A pinned backup never expires; the note says what it is for."""

    pin: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """Which backup, by its id; the newest that can be used when none is named."""

    backup: str = ""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """Which backup, by its id; `force` takes one that is not verified, or not signed with a key of ours."""

    backup: str = ""
    force: bool = False


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """Which database that a restore has put away comes back, by its name; the last one when none is named."""

    database: str = ""


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """What the person who leads the drill has answered, by question, and the person's name."""

    led_by: str = ""
    answers: tuple[str, ...] = ()


Options = (
    TableOptions
    | ReindexOptions
    | PruneOptions
    | BackupOptions
    | VerifyOptions
    | RestoreOptions
    | RollbackOptions
    | DrillOptions
)

OPTIONS_BY_KIND: Mapping[RunKind, type[Options]] = {
    RunKind.VACUUM: TableOptions,
    RunKind.ANALYZE: TableOptions,
    RunKind.REINDEX: ReindexOptions,
    RunKind.PRUNE: PruneOptions,
    RunKind.BACKUP: BackupOptions,
    RunKind.VERIFY: VerifyOptions,
    RunKind.RESTORE: RestoreOptions,
    RunKind.ROLLBACK: RollbackOptions,
    RunKind.DRILL: DrillOptions,
}

SCHEDULABLE = frozenset(
    {RunKind.VACUUM, RunKind.ANALYZE, RunKind.REINDEX, RunKind.PRUNE, RunKind.BACKUP, RunKind.VERIFY}
)
"""What may be done without a person who has asked for it now."""


def write_options(options: Options) -> dict[str, Any]:
    """The options as they are kept, with the names that requests use."""
    return {camel_case(one.name): _as_json(getattr(options, one.name)) for one in fields(options)}


def read_options(kind: RunKind, document: Mapping[str, Any]) -> Options:
    """The options that `write_options` wrote; members that are missing have their defaults."""
    wanted: type[Any] = OPTIONS_BY_KIND[kind]
    given = {one.name: document[camel_case(one.name)] for one in fields(wanted) if camel_case(one.name) in document}
    options: Options = wanted(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    )
    return options


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
