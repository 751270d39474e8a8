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


Options = TableOptions | ReindexOptions | PruneOptions

OPTIONS_BY_KIND: Mapping[RunKind, type[Options]] = {
    RunKind.VACUUM: TableOptions,
    RunKind.ANALYZE: TableOptions,
    RunKind.REINDEX: ReindexOptions,
    RunKind.PRUNE: PruneOptions,
}


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
