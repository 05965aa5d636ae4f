"""How far a long command is: shown on a terminal (stderr), nowhere else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from retention.run import Watch


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[int], None]]:
    """A function that counts documents of which nobody knows how many there are."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} documents"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("documents", total=None)
        yield lambda number: bar.advance(task, number)


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """A Watch that shows a bar for each thing that a run does, one after the other."""
    if not sys.stderr.isatty():
        yield Watch()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield _Bars(bars)


class _Bars(Watch):
    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def begin(self, what: str, documents: int) -> None:
        self._bars.start()
        self._task = self._bars.add_task(what, total=documents)

    def advance(self, documents: int) -> None:
        self._bars.advance(self._task, documents)

    def pause(self) -> None:
        self._bars.stop()
