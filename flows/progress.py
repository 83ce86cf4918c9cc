"""Progress on standard error: a bar on a terminal, otherwise a plain line from time to time."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from diamond_cutter.flows.quantities import passing

# Without a terminal, shorter work prints nothing. Lines become rarer in long runs: each comes after
# another twentieth of the time so far.
EVERY_S = 10.0
_RARELY_S = 300.0


class Progress:
    """Counts sprites, images or layers."""

    def __init__(self, what: str, total: int) -> None:
        console = Console(stderr=True)
        self._what, self._total, self._done = what, total, 0
        self._title = ""  # the line that `described` shows
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
        self._lines = None if console.is_terminal else _Lines(self._line)

    def __enter__(self) -> Self:
        self._bar.start()
        if self._lines is not None:
            self._lines.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._lines is not None:
            self._lines.stop(last=kind is None)

    def of_part(self, title: str, size: int) -> "PartProgress":
        """Return what counts the items of one part; retries do not count twice."""
        return PartProgress(lambda done: self._count(done, title), size)

    def _count(self, done: int, title: str) -> None:
        self._done += done
        self._bar.update(self._task, advance=done, description=title)

    def described(self) -> Callable[[tuple[int, str]], None]:
        """Return a callback that counts items, and shows a line about them."""

        def count(found: tuple[int, str]) -> None:
            self._done = min(self._done + found[0], self._total)
            self._title = found[1]
            self._bar.update(self._task, completed=self._done, description=escape(found[1]))

        return count

    def _line(self, passed_s: float) -> str:
        counted = f"{self._done} of {self._total} {self._what}"
        if self._title:
            counted += f", {self._title}"
        if self._done in (0, self._total):
            return f"{counted} after {passing(passed_s)}"
        return (
            f"{counted}, about {passing(passed_s * (self._total - self._done) / self._done)} left"
        )


class PartProgress:
    """Counts the items of one part. In a process of a cluster, a copy counts nothing."""

    def __init__(self, count: Callable[[int], None], size: int) -> None:
        self._count, self._left = count, size

    def __call__(self, done: int) -> None:
        """Count items, at most as many as the part has."""
        fresh = min(done, self._left)
        self._left -= fresh
        self._count(fresh)

    def complete(self) -> None:
        """Count the items that are left."""
        self(self._left)

    def __reduce__(self) -> tuple[type["PartProgress"], tuple[Callable[[int], None], int]]:
        """Pickle the progress as one that nobody sees."""
        return PartProgress, (_unseen, 0)


def _unseen(done: int) -> None:
    pass


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Show the current activity, such as `importing the model`."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(escape(what)):
            yield
        return
    lines = _Lines(lambda passed_s: f"{what}, for {passing(passed_s)} so far")
    lines.start()
    try:
        yield
    finally:
        lines.stop(last=False)


def say(text: str) -> None:
    """Print a line on standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(escape(text))


class _Lines:
    """Prints a line from time to time."""

    def __init__(self, line: Callable[[float], str]) -> None:
        self._line, self._ended, self._printed = line, threading.Event(), False
        self._thread = threading.Thread(target=self._print, daemon=True)

    def start(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def stop(self, *, last: bool) -> None:
        self._ended.set()
        self._thread.join()
        if last and self._printed:
            self._say()

    def _print(self) -> None:
        while not self._ended.wait(
            min(max(EVERY_S, (time.monotonic() - self._started) / 20), _RARELY_S)
        ):
            self._printed = True
            self._say()

    def _say(self) -> None:
        sys.stderr.write(f"{self._line(time.monotonic() - self._started)}\n")
        sys.stderr.flush()
