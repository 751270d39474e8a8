"""How far a run is, for people who wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from app.cli.output import console
from app.domain.runs import Progress, Tell
from app.telemetry.values import printable


@contextmanager
def progress_bar(*, is_shown: bool) -> Iterator[Tell]:
    """A bar on the terminal meanwhile: percent, time, what is done and how many; nothing where there is no terminal."""
    columns = (
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),  # names of tables are no markup
    )
    with Bar(*columns, console=console, disable=not is_shown or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=100)

        def tell(progress: Progress) -> None:
            bar.update(task, completed=progress.percent, description=describe(progress))

        yield tell


def describe(progress: Progress) -> str:
    """What is done just now, in words."""
    count = f"({progress.objects_done} of {progress.objects_total})" if progress.objects_total else None
    share = f"{progress.object_percent:.0f} %" if progress.object_percent is not None else None
    return printable(" ".join(filter(None, (progress.phase, progress.object_name, share, count))))


def line_of(progress: Progress) -> str:
    """How far it is and what is done, where lines are written one below the other."""
    return f"{progress.percent:5.1f} %  {describe(progress)}"
