"""Bars on a terminal: one for the whole command, and below it one for each layer in flight."""

from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from diamond_cutter.flows.cli.tables import printable
from diamond_cutter.flows.events.console import drawing_on, print_line
from diamond_cutter.flows.events.status import Status
from diamond_cutter.flows.events.stream import Event, LayerDone, PartFailed, TaskFailed, WorkDone
from diamond_cutter.flows.events.tally import Row, Tally
from diamond_cutter.flows.exits import cursor_hidden

_MOST_ROWS, _MOST_STEPS = 12, 3
_OTHER_LINES = _MOST_STEPS + 4
_REFRESHED_PER_S = 4.0
# On a terminal that is narrower, bars make room for words.
_NARROW = 60
_LEAST_BAR, _MOST_BAR = 8, 40


class ProgressBars:
    """Draws the status of a command on a terminal while the block runs.

    A line for each finished layer, for finished work, and for each failure, is printed above.

    The drawing costs the same however many layers there are, because only those in flight are
    drawn, a dozen at most.
    """

    def __init__(self, console: Console, status: Status) -> None:
        self._console, self._status = console, status
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console,
            get_renderable=self._drawn,
            refresh_per_second=_REFRESHED_PER_S,
            redirect_stdout=False,  # results go there
            transient=True,
        )
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(cursor_hidden())
        self._stack.enter_context(drawing_on(self._console))
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        self._stack.close()

    def __call__(self, event: Event) -> None:
        """Print a line about a finished layer or work, or about a failure, above the bars."""
        work = self._status.work
        match event:
            case LayerDone():
                layer = work.titled(event.model, event.layer) if work else event.layer
                flagged = f", {event.flagged} flagged" if event.flagged else ""
                self._print(f"{layer} done: {event.sprites} sprites{flagged}")
            case PartFailed():
                part = event.part
                title = work.titled(part.model or "", part.title) if work else part.title
                self._print(f"{title} failed: {event.problem}")
            case TaskFailed():
                self._print(f"failed: {event.problem}")
            case WorkDone() if work is not None and work.total:
                self._print(work.result())

    def _print(self, line: str) -> None:
        print_line(self._console, Text(printable(line)))

    def _drawn(self) -> Group:
        return Group(*self._whole(), *self._work(), *self._steps())

    def _whole(self) -> Iterator[Table]:
        """Yield the bar of the whole command, if it has one."""
        status, width = self._status, self._console.width
        if not status.command:
            return
        share, facts = status.whole.share, status.facts()
        bar = (
            ProgressBar(pulse=True, width=_bar_width(width))
            if share is None
            else ProgressBar(total=1.0, completed=share, width=_bar_width(width))
        )
        if width >= _NARROW:
            yield _line(Text(status.command, style="bold"), bar, Text(facts))
        else:
            yield _line(Text(status.command, style="bold"), bar)
            yield _line(Text(facts))

    def _work(self) -> Iterator[Table | Text]:
        work = self._status.work
        if work is None or not work.total:  # everything is in the bucket
            return
        yield Text(", ".join(work.facts()), overflow="fold")
        yield self._bars(work)

    def _bars(self, work: Tally) -> Table:
        width, rows = self._console.width, work.rows()
        names = width * 3 // 10
        longest = min(max((cell_len(row.title) for row in rows), default=0), names)
        counts = max((len(_bar(row)[1]) for row in rows), default=0)
        bars = Table.grid(
            Column(min_width=longest, no_wrap=True, overflow="ellipsis"),
            Column(width=_bar_width(width)),
            Column(justify="right", no_wrap=True, min_width=counts),
            Column(no_wrap=True, overflow="ellipsis"),
            padding=(0, 1),
        )
        shown = min(_MOST_ROWS, max(self._console.height - _OTHER_LINES, 1))
        for row in rows[:shown]:
            bars.add_row(_shortened(row.title, names), *_bar(row), Text(row.phase))
        if len(rows) > shown:
            bars.add_row(f"and {len(rows) - shown} more")
        return bars

    def _steps(self) -> Iterator[Table]:
        for step in self._status.steps()[:_MOST_STEPS]:
            yield _line(self._spinner, Text(step, no_wrap=True, overflow="ellipsis"))


def _line(*parts: Text | ProgressBar | Spinner) -> Table:
    line = Table.grid(padding=(0, 1))
    line.add_row(*parts)
    return line


def _bar_width(width: int) -> int:
    """Return the width of a bar on a terminal of a width, in characters."""
    return min(max(width // 4, _LEAST_BAR), _MOST_BAR)


def _shortened(title: str, width: int) -> Text:
    """Return a title without its middle if it is too long: the ends tell layers apart."""
    if len(title) <= width:
        return Text(title)
    start = (width - 1) // 2
    return Text(f"{title[:start]}…{title[start + 1 - width :]}")


def _bar(row: Row) -> tuple[ProgressBar, Text]:
    """Return a bar, and the count; a bar that only moves if there is a single item."""
    if row.total <= 1:
        return ProgressBar(pulse=True), Text("")
    return ProgressBar(total=row.total, completed=row.done), Text(f"{row.done}/{row.total}")
