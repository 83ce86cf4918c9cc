"""Bars on a terminal: one for each layer in flight, and one for the whole work."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Column, Table
from rich.text import Text

from diamond_cutter.flows.cli.tables import printable
from diamond_cutter.flows.events.stream import Event, LayerDone, PartFailed, TaskFailed
from diamond_cutter.flows.events.tally import Row, Tally

_MOST_ROWS, _MOST_STEPS = 12, 3
_OTHER_LINES = _MOST_STEPS + 4
_REFRESHED_PER_S = 4.0


class ProgressBars:
    """Draws a tally on a terminal while the block runs.

    A line for each finished layer, and for each failure, is printed above the bars.

    The drawing costs the same however many layers there are, because only those in flight are
    drawn, a dozen at most.
    """

    def __init__(self, console: Console, tally: Tally) -> None:
        self._console, self._tally = console, tally
        self._spinner = Spinner("dots")
        self._live = Live(
            console=console,
            get_renderable=self._drawn,
            refresh_per_second=_REFRESHED_PER_S,
            redirect_stdout=False,  # results go there
            transient=not tally.total,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Print a line about a finished layer, or about a failure, above the bars."""
        match event:
            case LayerDone():
                layer = self._tally.titled(event.model, event.layer)
                flagged = f", {event.flagged} flagged" if event.flagged else ""
                self._print(f"{layer} done: {event.sprites} sprites{flagged}")
            case PartFailed():
                part = self._tally.titled(event.part.model or "", event.part.title)
                self._print(f"{part} failed: {event.problem}")
            case TaskFailed():
                self._print(f"failed: {event.problem}")

    def _print(self, line: str) -> None:
        self._console.print(Text(printable(line)), soft_wrap=True)

    def _drawn(self) -> Group:
        if not self._tally.total:  # everything is in the bucket
            return Group(*self._steps())
        return Group(self._bars(), Text(", ".join(self._tally.facts())), *self._steps())

    def _bars(self) -> Table:
        tally, width = self._tally, self._console.width
        bars = Table.grid(
            Column(max_width=width * 3 // 10, no_wrap=True, overflow="ellipsis"),
            Column(width=width // 4),
            Column(justify="right", no_wrap=True),
            Column(no_wrap=True, overflow="ellipsis"),
            padding=(0, 1),
        )
        rows = tally.rows()
        shown = min(_MOST_ROWS, max(self._console.height - _OTHER_LINES, 1))
        for row in rows[:shown]:
            bars.add_row(_shortened(row.title, width * 3 // 10), *_bar(row), Text(row.phase))
        if len(rows) > shown:
            bars.add_row(f"and {len(rows) - shown} more")
        whole = ProgressBar(total=max(tally.total, 1), completed=tally.done)
        bars.add_row("all", whole, f"{tally.done}/{tally.total}")
        return bars

    def _steps(self) -> Iterator[Table]:
        for step in self._tally.steps()[:_MOST_STEPS]:
            line = Table.grid(padding=(0, 1))
            line.add_row(self._spinner, Text(step))
            yield line


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
