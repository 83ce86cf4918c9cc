"""Counts the work of a command and names its steps, for the display that is open (`display.py`).

With `--log-json`, events are written instead (see `json_log`).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Literal, Self

from rich.text import Text

from diamond_cutter.flows.events.console import print_line, standard_error
from diamond_cutter.flows.events.display import shown
from diamond_cutter.flows.events.json_log import logs_as_json
from diamond_cutter.flows.events.stream import (
    Counted,
    Note,
    Part,
    PartDone,
    PartStarted,
    Phase,
    StepDone,
    StepStarted,
    WorkDone,
    WorkStarted,
    heard_by,
    publish,
)
from diamond_cutter.flows.events.tally import Group, Tally


class Progress:
    """Counts sprites, images or layers, and shows how far the work is."""

    def __init__(
        self,
        unit: str,
        total: int,
        layers: Mapping[Group, int] | None = None,
        parts: Literal["batch", "layer"] = "batch",
    ) -> None:
        """Prepare to count.

        Args:
            unit: what is counted.
            total: the number of items.
            layers: the number of items of each model and layer.
            parts: what the parts are, if they are not shards.
        """
        self._tally, self._kind = Tally(unit, total, layers), parts
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        tally, status = self._tally, self._stack.enter_context(shown())
        self._stack.enter_context(heard_by(tally))
        status.add(tally)
        self._stack.callback(status.remove, tally)
        publish(WorkStarted(unit=tally.unit, total=tally.total))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        tally = self._tally
        publish(
            WorkDone(
                unit=tally.unit,
                total=tally.total,
                done=tally.done,
                failed=tally.failed,
                seconds=round(tally.seconds, 3),
            )
        )
        self._stack.close()

    def of_part(self, title: str, items: int) -> "PartProgress":
        """Return what counts the items of a part; retries do not count twice."""
        part, started = Part(kind=self._kind, title=title, items=items), time.monotonic()

        def end() -> None:
            publish(PartDone(part=part, seconds=round(time.monotonic() - started, 3)))

        publish(PartStarted(part=part))
        return PartProgress(
            lambda done: publish(Counted(part=part, items=done)),
            items,
            end,
            lambda phase: publish(Phase(part=part, phase=phase)),
        )

    def of_shard(self, shard: Part) -> "PartProgress":
        """Return what counts the sprites of a shard, whose start and end the caller publishes."""
        return PartProgress(
            lambda done: publish(Counted(part=shard, items=done)),
            shard.items,
            on_phase=lambda phase: publish(Phase(part=shard, phase=phase)),
        )

    def described(self) -> Callable[[tuple[int, str] | str], None]:
        """Return a callback that counts items, and shows a line about them, or about a phase."""
        return self._describe

    def _describe(self, found: tuple[int, str] | str) -> None:
        done, title = (0, found) if isinstance(found, str) else found
        publish(Counted(part=None, items=self._tally.describe(done, title)))


class PartProgress:
    """Counts the items of one part. In a process of a cluster, a copy counts nothing."""

    def __init__(
        self,
        count: Callable[[int], None],
        items: int,
        end: Callable[[], None] = lambda: None,
        on_phase: Callable[[str], None] = lambda phase: None,
    ) -> None:
        self._count, self._left, self._end, self._on_phase = count, items, end, on_phase

    def __call__(self, done: int | str) -> None:
        """Count items, at most as many as the part has; or note the phase that has begun."""
        if isinstance(done, str):
            self._on_phase(done)
            return
        fresh = min(done, self._left)
        if not fresh:
            return
        self._left -= fresh
        self._count(fresh)
        if not self._left:
            self._end()

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
    """Show the current step, such as `importing the model`."""
    started = time.monotonic()
    with shown():
        publish(StepStarted(step=what))
        try:
            yield
        finally:
            publish(StepDone(step=what, seconds=round(time.monotonic() - started, 3)))


def say(text: str) -> None:
    """Print a line on standard error."""
    if logs_as_json():
        publish(Note(message=text))
    else:
        for line in text.split("\n"):
            print_line(standard_error(), Text(line))
