"""The progress bar of a run."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """Counts sprites, or images, on the terminal; off the terminal it prints nothing."""

    def __init__(self, what: str, total: int) -> None:
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(what),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def of_part(self, title: str, size: int) -> Callable[[int], None]:
        """Return what counts those of one part of the work, as they are reported; a part that is tried again counts once."""
        left = size

        def count(done: int) -> None:
            nonlocal left
            fresh = min(done, left)
            left -= fresh
            self._bar.update(self._task, advance=fresh, description=title)

        return count
